//! The start of an application, and the list of a program's applications.

use crate::shared_keys::{SectionKeys, SharedKeySet};
use drupe_core::app::{AppIndex, AppNote, Apps};
use drupe_core::settings::Section;
use drupe_core::{Handler, Sections};
use drupe_shell::Remote;
use std::fmt;
use std::sync::Arc;

/// The settings and the server handle that an application gets when a worker creates it.
///
/// `N` is the type of its [notes](Handler::Note).
pub struct Start<'a, N> {
    sections: &'a Sections,
    keys: &'a SectionKeys,
    remote: Remote<N>,
}

impl<N> Start<'_, N> {
    /// Returns a section of the configuration, as it was when the server started.
    ///
    /// The [hub](drupe_core::Hub::settings) returns the current one, after a reload as well. A
    /// section that the program [does not have](crate::Program::section) has its default values.
    #[must_use]
    pub fn settings<T: Section>(&self) -> Arc<T> {
        self.sections.get().unwrap_or_default()
    }

    /// Returns the shared set of public keys that the section [names](Section::key_set). Reloads and fetches update it.
    ///
    /// It stays empty for a section that the program [does not have](crate::Program::section), or that has no
    /// [settings for tokens](Section::TOKENS).
    #[must_use]
    pub fn key_set<T: Section>(&self) -> SharedKeySet {
        self.keys.of::<T>()
    }

    /// Returns a handle to the server. Its notes go to this application on this worker, and it names
    /// the rooms of this application.
    #[must_use]
    pub fn remote(&self) -> Remote<N> {
        self.remote.clone()
    }
}

/// The applications of a program, each as a function that adds it to the handler of a worker.
#[derive(Clone, Default)]
pub(crate) struct AppMakers(Vec<Maker>);

type Maker = Arc<dyn Fn(Apps, &Sections, &SectionKeys, &Remote<AppNote>) -> Apps + Send + Sync>;

impl AppMakers {
    pub(crate) fn add<H, F>(&mut self, name: &'static str, make: F)
    where
        F: Fn(&Start<'_, H::Note>) -> H + Send + Sync + 'static,
        H: Handler<Context: 'static, Note: Send + 'static> + 'static,
    {
        self.0.push(Arc::new(move |apps, sections, keys, remote| {
            let index: AppIndex = apps.next_index();
            let remote = remote.converting(move |note| AppNote::new(index, note)).of_app(index);
            let handler = make(&Start { sections, keys, remote });
            apps.with(name, handler)
        }));
    }

    /// Creates the applications of one worker.
    pub(crate) fn make(&self, sections: &Sections, keys: &SectionKeys, remote: &Remote<AppNote>) -> Apps {
        self.0.iter().fold(Apps::new(), |apps, add| add(apps, sections, keys, remote))
    }
}

impl<N> fmt::Debug for Start<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("sections", self.sections).finish_non_exhaustive()
    }
}
