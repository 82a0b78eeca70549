//! Configurations from text: values, mistakes, warnings, templates and documented claims.

mod settings;
mod settings_claims;
mod settings_mistakes;
mod settings_template;
mod settings_warnings;
