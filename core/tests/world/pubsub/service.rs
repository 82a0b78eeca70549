//! The application, whose rules follow the configuration.

use drupe_core::kit::pubsub::{PubSub, PubSubOptions, Session};
use drupe_core::{Event, Handler, Hub, NoNote};
use std::fmt::Debug;
use std::marker::PhantomData;

/// The options of the application, as a part of the configuration.
pub(crate) trait Options: Debug + PartialEq + Send + Sync + 'static {
    fn options(&self) -> PubSubOptions;
}

pub(crate) struct Service<R>(PubSub, PhantomData<R>);

impl<R: Options> Service<R> {
    pub(crate) fn new(rules: &R) -> Self {
        Self(PubSub::new(rules.options(), ()), PhantomData)
    }
}

impl<R: Options> Handler for Service<R> {
    type Context = Session;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Session>, event: Event<'_, NoNote>) {
        if let (Event::Reconfigured, Some(rules)) = (&event, hub.settings::<R>()) {
            self.0.set_options(rules.options());
        }
        self.0.on(hub, event);
    }
}
