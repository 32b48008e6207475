//! Who can prove what: issuers, sessions, API keys, certificates, and our own assertion.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::model::Secret;

/// Signature algorithms of RFC 7518, section 3.1 and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// By its registered name, which is case-sensitive.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }

    /// Whether verifier and signer share the key.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

/// `[issuer.NAME]`: who signs tokens, and what a token of theirs must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Its name in this configuration.
    pub name: Arc<str>,
    /// The exact `iss`.
    pub issuer: Arc<str>,
    /// At least one of these must be in `aud`; never empty.
    pub audiences: Vec<Arc<str>>,
    /// Allowed algorithms; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` values, lower case, without `application/`; empty: any but those that name another kind of token.
    pub types: Vec<Arc<str>>,
    /// Tolerated difference of clocks.
    pub leeway: Duration,
    /// Claims that must be there besides `exp` and `sub`.
    pub required_claims: Vec<Arc<str>>,
    /// Whether its tokens must be bound to a key or a certificate (`cnf`).
    pub sender_constrained: bool,
    /// `exp` may lie at most this far after `iat` (or after now, where there is no `iat`).
    pub max_lifetime: Duration,
    /// Longest token, in bytes.
    pub max_size: usize,
    /// Where the keys are.
    pub keys: KeySource,
    /// Where in the claims roles, groups and so on are.
    pub claims: ClaimPointers,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// OpenID Connect discovery (`ISSUER/.well-known/openid-configuration`), then its `jwks_uri`.
    Discovery(JwksSettings),
    /// A JWKS at a URL.
    JwksUrl {
        /// Where.
        url: String,
        /// How.
        jwks: JwksSettings,
    },
    /// A JWKS in a file.
    JwksFile(PathBuf),
    /// One public key, PEM.
    PemFile(PathBuf),
    /// A shared secret, for the HS family.
    Secret(Secret<Vec<u8>>),
}

/// How a JWKS is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksSettings {
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// How often it is fetched anew.
    pub refresh: Duration,
    /// How soon a token that no key fits may cause another fetch.
    pub min_interval: Duration,
    /// How long the last good set is used when fetching fails.
    pub max_age: Duration,
    /// How long one fetch may take.
    pub timeout: Duration,
    /// The file that keeps the last good set for starts while fetching fails. Whoever can write it can sign tokens.
    pub snapshot: Option<PathBuf>,
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            ca: None,
            refresh: Duration::from_secs(300),
            min_interval: Duration::from_secs(10),
            max_age: Duration::from_secs(24 * 3600),
            timeout: Duration::from_secs(5),
            snapshot: None,
        }
    }
}

/// JSON pointers (RFC 6901) into the claims, or plain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPointers {
    /// Roles: an array of strings, or one string.
    pub roles: Option<Arc<str>>,
    /// Groups: likewise.
    pub groups: Option<Arc<str>>,
    /// Scopes: likewise; a string is split at spaces.
    pub scopes: Option<Arc<str>>,
    /// Tenant.
    pub tenant: Option<Arc<str>>,
    /// E-mail address.
    pub email: Option<Arc<str>>,
    /// Display name.
    pub name: Option<Arc<str>>,
}

/// `[opaque]`: bearer tokens that only their issuer can read, and the endpoint that says what they mean (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueSettings {
    /// Where to ask.
    pub introspection_url: String,
    /// The issuer of the principals; an `iss` in an answer must be this.
    pub issuer: Arc<str>,
    /// At least one of these must be in `aud`; never empty.
    pub audiences: Vec<Arc<str>>,
    /// Whether an answer without `aud` will do.
    pub allow_missing_audience: bool,
    /// Who asks.
    pub client_id: String,
    /// And proves it with this.
    pub client_secret: Secret<String>,
    /// How.
    pub client_auth: ClientSecretMethod,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an answer is believed, at most.
    pub cache: Duration,
    /// Longest token, in bytes.
    pub max_size: usize,
    /// Where in the answer roles, groups and so on are.
    pub claims: ClaimPointers,
}

/// How a client proves who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSecretMethod {
    /// `Authorization: Basic`.
    Basic,
    /// In the form.
    Post,
}

/// `[basic]`: user names and passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicSettings {
    /// `user:hash` lines.
    pub file: PathBuf,
    /// `group: user user` lines.
    pub group_file: Option<PathBuf>,
    /// What browsers show when they ask for the password.
    pub realm: Arc<str>,
    /// Roles of every user.
    pub roles: Vec<Arc<str>>,
    /// Scopes of every user.
    pub scopes: Vec<Arc<str>>,
    /// How long a password that was right is believed without hashing it again.
    pub cache: Duration,
}

/// `[session]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The cookie's name.
    pub cookie: Arc<str>,
    /// A session ends when unused for this long.
    pub idle_timeout: Duration,
    /// And then in any case.
    pub absolute_timeout: Duration,
    /// Whose sessions they are.
    pub layout: SessionLayout,
}

/// `[session] layout`: who keeps the sessions, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionLayout {
    /// Portcullis itself.
    Portcullis,
    /// The application behind. They are read and never written.
    Foreign(Arc<ForeignSettings>),
}

/// `[session.foreign]`: how the application keeps its sessions, and where in them to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSettings {
    /// How a session is found and read.
    pub format: ForeignFormat,
    /// What comes before the id in a key of Redis; never empty.
    pub key_prefix: String,
    /// The issuer of its principals.
    pub issuer: Arc<str>,
    /// Where the subject is: a JSON pointer or a plain name.
    pub subject: Arc<str>,
    /// Where the rest is.
    pub claims: ClaimPointers,
    /// Where it says when it began.
    pub issued_at: Option<Arc<str>>,
    /// Where it says when it ends, besides what the layout itself says.
    pub expires: Option<Arc<str>>,
}

/// Who lays sessions out so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignFormat {
    /// `express-session` with `connect-redis`.
    ConnectRedis {
        /// What cookies may be signed with, newest first; never empty.
        secrets: Vec<Secret<Vec<u8>>>,
    },
    /// Whoever writes JSON under the cookie's value.
    Json {
        /// What an id looks like.
        id: SessionIdForm,
    },
    /// Spring Session with attributes in JSON.
    Spring,
    /// PHP with php-redis.
    Php {
        /// How PHP writes a session's variables.
        handler: PhpHandler,
    },
}

impl ForeignFormat {
    /// As `layout` has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ConnectRedis { .. } => "connect-redis",
            Self::Json { .. } => "json",
            Self::Spring => "spring",
            Self::Php { .. } => "php",
        }
    }
}

/// What an id looks like. Whatever does not is never asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIdForm {
    /// Its characters.
    pub alphabet: IdAlphabet,
    /// Fewest of them.
    pub min: usize,
    /// Most of them.
    pub max: usize,
}

/// The characters of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdAlphabet {
    /// Hexadecimal digits and `-`, as in UUIDs.
    Hex,
    /// ASCII letters and digits.
    Alphanumeric,
    /// ASCII letters, digits, `-` and `_`.
    Base64url,
}

/// `session.serialize_handler` of PHP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhpHandler {
    /// `php`: names and values in turn.
    Php,
    /// `php_serialize`: one array.
    PhpSerialize,
}

/// `[api_key]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeySettings {
    /// The header that carries a key; `Authorization: Bearer` always may.
    pub header: HeaderName,
    /// The `<env>` part of keys made here.
    pub environment: Arc<str>,
}

/// `[[mtls]]`: how a verified certificate becomes an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtlsRule {
    /// What the certificate must have, all of it; not empty.
    pub matches: Vec<MtlsMatch>,
    /// The subject, a template over what all patterns capture: `{ns}/{sa}`; empty: what the first pattern matched.
    pub subject: String,
    /// The tenant, a template likewise; empty: none.
    pub tenant: String,
    /// Groups, templates likewise.
    pub groups: Vec<String>,
    /// Roles it gets.
    pub roles: Vec<Arc<str>>,
    /// Scopes it gets.
    pub scopes: Vec<Arc<str>>,
}

/// A pattern with `{name}` captures, each standing for one or more characters but `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MtlsMatch {
    /// Against each SAN URI.
    Uri(String),
    /// Against each SAN DNS name.
    Dns(String),
    /// Against each SAN e-mail address.
    Email(String),
    /// Against the subject, as RFC 4514 writes it.
    Subject(String),
    /// Against the issuer, as RFC 4514 writes it.
    Issuer(String),
}

/// `[assertion]`: the signed statement of identity that upstreams can verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionSettings {
    /// Its `iss`.
    pub issuer: Arc<str>,
    /// The signing key (EC P-256, PKCS#8, PEM); `None`: one made at start, kept in memory alone.
    pub key: Option<Secret<String>>,
    /// The header it travels in.
    pub header: HeaderName,
    /// How long each is valid.
    pub lifetime: Duration,
    /// The public path of the JWKS; `None`: not served.
    pub jwks_path: Option<Arc<str>>,
}
