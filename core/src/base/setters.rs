//! A macro for setter methods: `Telnet::default().mode(InputMode::Character).keep_alive(None)`.

/// Defines a setter method for each listed field of a type, or of a struct nested in it.
///
/// An application can build the type in one expression, although it is non-exhaustive: a new option
/// breaks no application.
macro_rules! setters {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $name {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
    ($name:ident.$part:ident: $of:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $name {
            $(
                #[doc = concat!("Sets [`", stringify!($of), "::", stringify!($field), "`] of")]
                #[doc = concat!("[`", stringify!($part), "`](#structfield.", stringify!($part), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$part.$field = $field;
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
