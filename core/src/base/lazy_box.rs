use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// Box for state that most connections do not need: it is allocated only while a value is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LazyBox<T>(Option<Box<T>>);

/// A type with a constant empty value, to which an unallocated [`LazyBox`] dereferences.
pub(crate) trait HasEmpty: Default + 'static {
    const EMPTY: &'static Self;
}

impl<T: 'static> HasEmpty for Vec<T> {
    const EMPTY: &'static Self = &Self::new();
}

impl<T: 'static> HasEmpty for VecDeque<T> {
    const EMPTY: &'static Self = &Self::new();
}

impl<T: HasEmpty> LazyBox<T> {
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map_or_else(T::default, |value| *value)
    }
}

impl<T> LazyBox<T> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Returns the value, if one is set.
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// Returns the value, if one is set. Otherwise, nothing is allocated.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    pub(crate) fn set(&mut self, value: Option<T>) {
        self.0 = value.map(Box::new);
    }
}

impl<T: HasEmpty> Deref for LazyBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: HasEmpty> DerefMut for LazyBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
