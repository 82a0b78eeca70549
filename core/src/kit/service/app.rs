/// An application: its state, and its context and note types.
pub trait App: Sized {
    /// Its state for one connection; see [`Handler::Context`](crate::Handler::Context).
    type Context: Default;
    /// Its notes from outside; see [`Handler::Note`](crate::Handler::Note).
    type Note;
}

impl App for () {
    type Context = ();
    type Note = crate::handler::NoNote;
}
