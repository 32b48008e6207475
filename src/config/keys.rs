//! What may stand where: the one table that checking, "did you mean", defaults and the JSON Schema go by.
//!
//! Every section keeps the [`Key`]s of its tables beside the code that reads them.

use super::section;

/// A key that a table may have.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// One sentence for the schema and for help texts.
    pub(super) doc: &'static str,
    pub(super) presence: Presence,
}

/// What holds where a key is absent.
#[derive(Debug)]
pub(super) enum Presence {
    /// Nothing.
    Optional,
    /// That is a problem.
    Required,
    /// This does.
    Default(Given),
}

/// A default.
#[derive(Debug)]
pub(super) enum Given {
    Text(&'static str),
    Integer(i64),
    Boolean(bool),
    Texts(&'static [&'static str]),
    /// A table with the defaults of its keys.
    Table,
}

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Shape {
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    Text,
    /// Text that is relative to the file it stands in.
    Path,
    Duration {
        zero: bool,
    },
    Size,
    /// `{ env = … }` or `{ file = … }`.
    Secret,
    /// One of these words; the ones in `later` come with a later version.
    Choice {
        now: &'static [&'static str],
        later: &'static [Later],
    },
    /// A list; a list of one may stand bare.
    List(&'static Shape),
    Table(&'static [Key]),
    /// A table of tables or values with names of the user's choice.
    Map(&'static Shape),
    /// The same with names of hosts, `*.` in front for all that are under one.
    ByHost(&'static Shape),
    /// The first that fits the kind of value.
    Either(&'static [Shape]),
    /// Some of the keys of another table, without what would hold in their absence.
    Partial {
        of: &'static [Key],
        without: &'static str,
    },
    /// Comes with a later version.
    Later,
}

/// A word that means something in a later version only, and what to do until then.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) word: &'static str,
    pub(super) help: &'static str,
}

impl Later {
    pub(super) const fn new(word: &'static str, help: &'static str) -> Self {
        Self { word, help }
    }
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, doc, presence: Presence::Optional }
    }

    /// A key of a later version.
    pub(super) const fn later(name: &'static str) -> Self {
        Self::new(name, Shape::Later, "")
    }

    pub(super) const fn required(self) -> Self {
        Self { presence: Presence::Required, ..self }
    }

    pub(super) const fn default(self, given: Given) -> Self {
        Self { presence: Presence::Default(given), ..self }
    }

    /// Whether it can be used in this version.
    pub(super) const fn is_available(&self) -> bool {
        !matches!(self.shape, Shape::Later)
    }
}

/// Any text.
pub(super) const TEXTS: Shape = Shape::List(&Shape::Text);
/// A duration that is not zero.
pub(super) const DURATION: Shape = Shape::Duration { zero: false };
/// A number that makes sense as a cap.
pub(super) const CAP: Shape = Shape::Integer { min: 1, max: 1_000_000 };

/// The whole file.
pub(super) const ROOT: &[Key] = &[
    Key::new("include", TEXTS, "Other files to read, with `*` and `?`, relative to this one."),
    Key::new("server", Shape::Table(section::server::KEYS), "The process.").default(Given::Table),
    Key::new("listener", Shape::Map(&Shape::Table(section::listener::KEYS)), "Where clients connect, by name."),
    Key::new("health", Shape::Table(section::health::KEYS), "`/livez`, `/readyz`, `/metrics`, and nothing else."),
    Key::new("admin", Shape::Table(section::admin::KEYS), "Operations.").default(Given::Table),
    Key::new("log", Shape::Table(section::log::KEYS), "What is logged, and how.").default(Given::Table),
    Key::new("store", Shape::Table(section::store::KEYS), "Where sessions, keys and revocations are kept.")
        .default(Given::Table),
    Key::new("revocation", Shape::Table(section::revocation::KEYS), "The log of what is no longer valid.")
        .default(Given::Table),
    Key::new("session", Shape::Table(section::session::KEYS), "Session cookies.").default(Given::Table),
    Key::new("issuer", Shape::Map(&Shape::Table(section::issuer::KEYS)), "Who signs tokens, by name."),
    Key::new("dpop", Shape::Table(section::dpop::KEYS), "Proofs that a client holds the key of its token (RFC 9449).")
        .default(Given::Table),
    Key::new(
        "opaque",
        Shape::Table(section::opaque::KEYS),
        "Bearer tokens that only their issuer can read: it is asked what each means (RFC 7662).",
    ),
    Key::new(
        "basic",
        Shape::Table(section::basic::KEYS),
        "User names and passwords (RFC 7617), from an htpasswd file.",
    ),
    Key::new("api_key", Shape::Table(section::api_key::KEYS), "API keys.").default(Given::Table),
    Key::new(
        "mtls",
        Shape::List(&Shape::Table(section::mtls::KEYS)),
        "How a verified client certificate becomes an identity; the first match wins.",
    ),
    Key::new(
        "spiffe",
        Shape::Table(section::spiffe::KEYS),
        "Certificates of our own and those to trust, from an agent of SPIFFE's (Workload API).",
    ),
    Key::new("assertion", Shape::Table(section::assertion::KEYS), "The signed statement of identity for upstreams.")
        .default(Given::Table),
    Key::new(
        "maintenance",
        section::maintenance::SHAPE,
        "Whether everything is down: 503 with `Retry-After`, whatever a route says; live streams go on.",
    )
    .default(Given::Boolean(false)),
    Key::new(
        "pages",
        section::pages::SHAPE,
        "Files of HTML for browsers that are refused, by status: `\"403\"`, `\"4xx\"`, `\"5xx\"`, `default`; with `{{status}}`, \
         `{{title}}` and `{{decision_id}}`. Absent: a built-in page.",
    ),
    Key::new("limit", Shape::Map(&Shape::Table(section::limit::KEYS)), "Rate limits, by name."),
    Key::new(
        "roles",
        Shape::Map(&section::roles::ROLE),
        "What each role permits: `\"orders:read\"`, `\"orders:*\"`, `\"*\"`.",
    ),
    Key::new("policy", Shape::Map(&Shape::Table(section::policy::KEYS)), "Rules that several routes have, by name."),
    Key::new("upstream", Shape::Map(&Shape::Table(section::upstream::KEYS)), "What is behind, by name."),
    Key::new(
        "defaults",
        Shape::Partial { of: section::route::KEYS, without: "match" },
        "Settings of all routes; a route's own value replaces them, only `deny` adds up.",
    ),
    Key::new(
        "route",
        Shape::Map(&Shape::Table(section::route::KEYS)),
        "What is served, to whom, and from where; by name.",
    ),
    Key::later("accounts"),
    Key::later("metrics"),
    Key::later("tracing"),
    Key::later("audit"),
];
