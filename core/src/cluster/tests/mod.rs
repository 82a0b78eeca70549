mod link;
mod world;
