//! Tables, properties and bounds of the codec.
