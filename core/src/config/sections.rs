//! Settings of applications, as a part of the configuration.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// The settings of the applications of a server: at most one value of each type.
///
/// They are part of the [`Config`](crate::Config), so a reload replaces them with the rest, and a
/// machine stays a function of its inputs. A handler reads its own with
/// [`Hub::settings`](crate::Hub::settings).
///
/// ```
/// use drupe_core::testing::TestHub;
/// use drupe_core::{Config, Event, Handler, Hub, NoNote};
///
/// #[derive(Debug, Default, PartialEq)]
/// struct Greeting(String);
///
/// struct Hello;
///
/// impl Handler for Hello {
///     type Context = ();
///     type Note = NoNote;
///
///     fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
///         if let Event::Message { conn, .. } = event {
///             let greeting = hub.settings::<Greeting>().unwrap_or_default();
///             hub.send(conn, &greeting.0);
///         }
///     }
/// }
///
/// let mut config = Config::listening(["tcp://127.0.0.1:7000".parse().unwrap()]);
/// config.sections.set(Greeting("good evening".into()));
/// let mut hub = TestHub::with_config(config, Hello);
/// let peer = hub.connect();
/// hub.line(peer, "hello");
/// assert_eq!(hub.lines(peer), ["good evening"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(Vec<Section>);

/// One value, with functions that compare and format values of its type.
#[derive(Clone)]
struct Section {
    value: Arc<dyn Any + Send + Sync>,
    equals: fn(&dyn Any, &dyn Any) -> bool,
    debug: fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result,
}

impl Sections {
    /// Sets the value of a type. Replaces an earlier value of the same type.
    pub fn set<T: PartialEq + fmt::Debug + Send + Sync + 'static>(&mut self, value: T) {
        self.0.retain(|section| !section.value.is::<T>());
        self.0.push(Section {
            value: Arc::new(value),
            equals: |one, other| match (one.downcast_ref::<T>(), other.downcast_ref::<T>()) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            },
            debug: |value, f| value.downcast_ref::<T>().map_or(Ok(()), |value| value.fmt(f)),
        });
    }

    /// Returns the value of a type, if it was set.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.iter().find_map(|section| Arc::clone(&section.value).downcast().ok())
    }
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        (self.equals)(&*self.value, &*other.value)
    }
}

impl Eq for Section {}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.debug)(&*self.value, f)
    }
}
