//! The file that `init` prints.

/// A commented configuration that protects `upstream` with the tokens of `issuer` for `audience`.
pub fn template(upstream: &str, issuer: &str, audience: &str) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    TEMPLATE
        .replace("@UPSTREAM@", &quote(upstream))
        .replace("@ISSUER@", &quote(issuer))
        .replace("@AUDIENCE@", &quote(audience))
}

const TEMPLATE: &str = r#"# Portcullis in front of one service. `portcullis check --config FILE` says whether this file is good;
# `portcullis run --config FILE` runs it. Every key is described in config.example.toml.

[listener.main]
bind = "127.0.0.1:8080"               # "0.0.0.0:8080" for clients elsewhere
# public_origin = "https://api.example.com"             # what browsers call it
# trusted_proxies = ["10.0.0.0/8"]    # whose X-Forwarded-For counts; nobody's by default
# tls.certificates = [{ chain = "server.pem", key = "server.key" }]
# hsts = { max_age = "365d" }         # with tls: browsers come by HTTPS only, for a year

[health]
bind = "127.0.0.1:9902"               # /livez, /readyz, /metrics

# [store]                             # for several instances, and for what must survive a restart
# url = "redis://127.0.0.1:6379"
# password = { env = "REDIS_PASSWORD" }

[issuer.main]                         # who signs the tokens; its keys are found by discovery
url = @ISSUER@
audiences = [@AUDIENCE@]
# preset = "keycloak"                 # where a known provider has its roles: auth0, authentik, entra, keycloak, okta

[limit.per-address]
rate = "50/s"
burst = 100

# [roles]                             # what the roles of a token permit
# viewer = ["orders:read"]
# editor = { inherits = ["viewer"], permissions = ["orders:write"] }

[defaults]
upstream = @UPSTREAM@
limits = ["per-address"]

[route.app]
match = "/{*rest}"                    # "[METHOD ][host]/path"
accept = "jwt"                        # also: "session", "api_key", "mtls", or a list
# allow = [{ scopes = ["orders"] }]   # without rules, every valid token is admitted

# [route.health]
# match = "GET /healthz"
# accept = "anyone"                   # public
"#;
