//! Sets of identity headers that software knows.

use http::HeaderName;

use crate::model::settings::{HeaderPreset, IdentityField};

/// What a preset tells, and by which names.
pub(super) fn fields(preset: HeaderPreset) -> Vec<(HeaderName, IdentityField)> {
    match preset {
        HeaderPreset::XAuth => X_AUTH.to_vec(),
        HeaderPreset::RemoteUser => REMOTE_USER.to_vec(),
        HeaderPreset::OAuth2Proxy => oauth2_proxy(),
        HeaderPreset::None => Vec::new(),
    }
}

const X_AUTH: [(HeaderName, IdentityField); 11] = [
    (HeaderName::from_static("x-auth-subject"), IdentityField::Subject),
    (HeaderName::from_static("x-auth-issuer"), IdentityField::Issuer),
    (HeaderName::from_static("x-auth-method"), IdentityField::Method),
    (HeaderName::from_static("x-auth-roles"), IdentityField::Roles),
    (HeaderName::from_static("x-auth-scopes"), IdentityField::Scopes),
    (HeaderName::from_static("x-auth-groups"), IdentityField::Groups),
    (HeaderName::from_static("x-auth-tenant"), IdentityField::Tenant),
    (HeaderName::from_static("x-auth-email"), IdentityField::Email),
    (HeaderName::from_static("x-auth-name"), IdentityField::Name),
    (HeaderName::from_static("x-auth-session"), IdentityField::Session),
    (HeaderName::from_static("x-auth-credential"), IdentityField::Credential),
];

/// As Authelia sends them.
const REMOTE_USER: [(HeaderName, IdentityField); 4] = [
    (HeaderName::from_static("remote-user"), IdentityField::Subject),
    (HeaderName::from_static("remote-groups"), IdentityField::Groups),
    (HeaderName::from_static("remote-name"), IdentityField::Name),
    (HeaderName::from_static("remote-email"), IdentityField::Email),
];

/// Both families of names of oauth2-proxy: those that it sends itself, and those that nginx usually passes on.
fn oauth2_proxy() -> Vec<(HeaderName, IdentityField)> {
    let username = || IdentityField::Claim("preferred_username".into());
    vec![
        (HeaderName::from_static("x-forwarded-user"), IdentityField::Subject),
        (HeaderName::from_static("x-forwarded-email"), IdentityField::Email),
        (HeaderName::from_static("x-forwarded-groups"), IdentityField::Groups),
        (HeaderName::from_static("x-forwarded-preferred-username"), username()),
        (HeaderName::from_static("x-auth-request-user"), IdentityField::Subject),
        (HeaderName::from_static("x-auth-request-email"), IdentityField::Email),
        (HeaderName::from_static("x-auth-request-groups"), IdentityField::Groups),
        (HeaderName::from_static("x-auth-request-preferred-username"), username()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reserved::IDENTITY;

    #[test]
    fn no_preset_has_a_name_that_a_client_could_set() {
        for preset in [HeaderPreset::XAuth, HeaderPreset::RemoteUser, HeaderPreset::OAuth2Proxy, HeaderPreset::None] {
            for (name, _) in fields(preset) {
                let name = name.as_str();
                assert!(name.starts_with("x-auth-") || IDENTITY.contains(&name), "{name}");
            }
        }
    }
}
