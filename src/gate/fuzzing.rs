//! Doors for `fuzz/`, which lies outside of the crate: they exist under `--cfg fuzzing` alone.

use std::sync::Arc;

use http::HeaderMap;

use super::CheckRequest;
use super::credential::{Accepts, Presented, Reader};
use super::headers::cookie;
use super::identity::Foreign;
use super::route::Router;
use crate::model::denial::Reason;
use crate::model::settings::{Accept, ForeignSettings, Settings};
use crate::model::{Client, CredentialKind, Timestamp, Verified};

/// Reads the credential that counts, as stage 3 does.
#[derive(Debug)]
pub struct Credentials {
    reader: Reader,
    accepts: Accepts,
}

impl Credentials {
    /// For a route that accepts this.
    pub fn new(settings: &Settings, accept: &Accept) -> Result<Self, String> {
        Ok(Self { reader: Reader::new(settings), accepts: Accepts::new(accept, None)? })
    }

    /// Its kind and its text.
    pub fn read(&self, headers: &HeaderMap, client: &Client) -> Result<Option<(CredentialKind, String)>, Reason> {
        let found = self.reader.read(headers, client, &self.accepts, false).map_err(|denial| denial.reason)?;
        Ok(found.map(|found| match found.presented {
            Presented::Certificate(_) => (found.presented.kind(), String::new()),
            Presented::Jwt(text)
            | Presented::Opaque(text)
            | Presented::Basic(text)
            | Presented::ApiKey(text)
            | Presented::Session(text) => (found.presented.kind(), text.to_owned()),
        }))
    }
}

/// Finds routes, as stage 1 does.
pub struct Routes(Router<String>);

impl Routes {
    /// All routes of the settings, by name.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let mut router = Router::new();
        for route in &settings.routes {
            router.add(route, &route.name.to_string()).map_err(|error| error.to_string())?;
        }
        Ok(Self(router))
    }

    /// The route's name, and the target that would be forwarded.
    pub fn find(&self, request: &CheckRequest<'_>) -> Result<(String, String), Reason> {
        let routed = self.0.find(request).map_err(|denial| denial.reason)?;
        Ok((routed.route.clone(), routed.target.as_str().to_owned()))
    }
}

/// Reads sessions of an application.
pub struct Application(Foreign);

impl Application {
    /// As configured.
    pub fn new(settings: ForeignSettings) -> Self {
        Self(Foreign::door(Arc::new(settings)))
    }

    /// The id in a cookie's value.
    pub fn id(&self, cookie: &str) -> Option<String> {
        self.0.id_door(cookie)
    }

    /// Whose session a record is; of a hash, names and values in turn.
    pub fn read(&self, parts: &[Vec<u8>], in_store: Option<Timestamp>) -> Option<Verified> {
        self.0.read_door(parts, in_store)
    }
}

/// Takes the session cookie out of a request.
pub fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    cookie::remove(headers, name);
}

/// Takes the session cookie out of an answer.
pub fn remove_set_cookie(headers: &mut HeaderMap, name: &str) {
    cookie::remove_set(headers, name);
}
