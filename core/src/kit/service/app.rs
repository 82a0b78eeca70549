/// An application: its state, and its context and note types.
pub trait App: Sized {
    /// The application's state per connection: see [`Handler::Context`](crate::Handler::Context).
    type Context: Default;
    /// The type of the application's notes: see [`Handler::Note`](crate::Handler::Note).
    type Note;
}

impl App for () {
    type Context = ();
    type Note = crate::handler::NoNote;
}
