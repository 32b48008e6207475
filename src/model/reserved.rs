//! Header names that have a meaning of their own between a client, Portcullis and an upstream. All are folded, as
//! [`super::header`] does.

/// Names that only Portcullis sets begin with this.
pub const IDENTITY_PREFIX: &str = "x-auth-";

/// Names by which services that trust what stands before them know a user. No client may set them, whichever preset a
/// route has: a service does not stop to believe them because its route tells it something else. Those under
/// [`IDENTITY_PREFIX`] are not among them.
pub const IDENTITY: [&str; 13] = [
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "x-remote-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "client-cert",
    "client-cert-chain",
];

/// Names by which method or URL could be changed after the decision.
pub const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Names, besides `x-forwarded-…`, by which software knows a client's address or an earlier hop's word.
const CLAIMS: [&str; 18] = [
    "forwarded",
    "x-forwarded",
    "forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-method",
    "x-original-for",
    "x-original-proto",
    "x-original-remote-addr",
    "x-request-id",
];

/// Whether a folded name claims something about where a request came from.
pub fn is_claim(folded: &str) -> bool {
    folded.starts_with("x-forwarded-") || CLAIMS.contains(&folded)
}

/// Whether a folded name belongs to one connection or says where a message ends (RFC 9110, section 7.6.1).
pub fn is_hop_by_hop(folded: &str) -> bool {
    folded.starts_with("proxy-")
        || matches!(
            folded,
            "connection"
                | "keep-alive"
                | "proxy"
                | "transfer-encoding"
                | "upgrade"
                | "http2-settings"
                | "te"
                | "trailer"
                | "content-length"
                | "host"
                | "expect"
        )
}
