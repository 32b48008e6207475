//! `portcullis certs server` and `portcullis certs client`.

use std::net::IpAddr;
use std::path::PathBuf;

use super::authority::{Folder, Making, failed, quoted, say_made};
use super::files;
use crate::admin::views::rfc3339;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::crypto::dev_authority::DevSubject;

/// Who it is for, and where it goes.
#[derive(Debug, clap::Args)]
struct Issued {
    /// The folder of the CA, as `portcullis certs ca` has made it
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The folder for the certificate and its key
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// What the files are called, `.pem` and `.key` after it; default: `server`, or the client's name
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// A URI it is for, such as a SPIFFE ID; can be repeated
    #[arg(long = "uri", value_name = "URI")]
    uris: Vec<String>,
    /// For a server and a client in one, as SPIFFE's are
    #[arg(long)]
    both: bool,
    /// For how many days it is valid, but no longer than its CA
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    #[command(flatten)]
    making: Making,
}

/// A certificate for a server.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Server {
    /// Names and addresses it is for: `localhost`, `*.dev.example`, `127.0.0.1`
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    issued: Issued,
}

/// A certificate for a client.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Client {
    /// What it is called: the common name
    #[arg(value_name = "NAME")]
    name: String,
    /// A DNS name it is for; can be repeated
    #[arg(long = "dns", value_name = "NAME")]
    dns: Vec<String>,
    /// An email address it is for; can be repeated
    #[arg(long = "email", value_name = "ADDRESS")]
    emails: Vec<String>,
    #[command(flatten)]
    issued: Issued,
}

pub(super) fn server(args: &Server) -> Result<(), Failure> {
    let (mut dns, mut addresses) = (Vec::new(), Vec::new());
    for name in &args.names {
        match name.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => dns.push(clean("NAME", name, host_byte)?),
        }
    }
    let subject = DevSubject {
        common_name: args.names.first().cloned().unwrap_or_default(),
        dns,
        addresses,
        uris: args.issued.uris()?,
        emails: Vec::new(),
        server: true,
        client: args.issued.both,
    };
    let (chain, key) = args.issued.make(&subject, "server")?;
    output::line(&format!(
        "\na listener:        tls.certificates = [{{ chain = {chain}, key = {key} }}]\n\
         clients trust it:  curl --cacert {} https://{}:PORT/",
        Folder(&args.issued.ca).trusted().display(),
        subject.common_name,
    ));
    Ok(())
}

pub(super) fn client(args: &Client) -> Result<(), Failure> {
    let dns = args.dns.iter().map(|name| clean("--dns", name, host_byte)).collect::<Result<_, _>>()?;
    let emails = args.emails.iter().map(|name| clean("--email", name, |byte| byte.is_ascii_graphic()));
    let subject = DevSubject {
        common_name: args.name.clone(),
        dns,
        addresses: Vec::new(),
        uris: args.issued.uris()?,
        emails: emails.collect::<Result<_, _>>()?,
        server: args.issued.both,
        client: true,
    };
    let (chain, key) = args.issued.make(&subject, &args.name)?;
    let rules = [("uri", &subject.uris), ("dns", &subject.dns), ("email", &subject.emails)];
    let rule = rules.iter().find_map(|(kind, names)| Some((*kind, names.first()?)));
    let (kind, name) = rule.unwrap_or(("subject", &subject.common_name));
    let pattern = if kind == "subject" { format!("CN={name}") } else { name.clone() };
    output::line(&format!(
        "\nan upstream:       tls.certificate = {{ chain = {chain}, key = {key} }}\n\
         who it is:         [[mtls]]\n\
         \u{20}                  match.{kind} = {}\n\
         by hand:           curl --cacert {} --cert {} --key {} https://…",
        toml::Value::String(pattern),
        Folder(&args.issued.ca).trusted().display(),
        chain.trim_matches('"'),
        key.trim_matches('"'),
    ));
    Ok(())
}

impl Issued {
    fn uris(&self) -> Result<Vec<String>, Failure> {
        let uri = |text: &String| {
            let text = clean("--uri", text, |byte| byte.is_ascii_graphic())?;
            match url::Url::parse(&text) {
                Ok(_) => Ok(text),
                Err(problem) => Err(Failure::usage(format!("--uri `{text}`: {problem}"))),
            }
        };
        self.uris.iter().map(uri).collect()
    }

    /// Chain and key in files, named as TOML has them.
    fn make(&self, subject: &DevSubject, stem: &str) -> Result<(String, String), Failure> {
        let stem = self.file.as_deref().unwrap_or(stem);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if stem.is_empty() || stem.starts_with('.') || !stem.bytes().all(fits) {
            let message = "is no name for files: letters, digits, `-`, `_` and `.`; choose one with --file NAME";
            return Err(Failure::usage(format!("`{}` {message}", output::visible(stem))));
        }
        if subject.common_name.chars().any(char::is_control) {
            return Err(Failure::usage("a name has no control characters"));
        }
        let (signer, above) = Folder(&self.ca).signer()?;
        let pair = signer.issue(subject, self.making.terms(self.days)).map_err(failed)?;
        files::make_folder(&self.out)?;
        let (chain, key) = (format!("{stem}.pem"), format!("{stem}.key"));
        let whole = format!("{}{above}", pair.certificate_pem);
        files::write(&pair.files(&self.out, &chain, &key, &whole), self.making.force)?;
        let (chain, key) = (self.out.join(chain), self.out.join(key));
        say_made(&chain, &format!("the certificate, until {}", rfc3339(pair.not_after)));
        say_made(&key, "its private key, unencrypted");
        Ok((quoted(&chain), quoted(&key)))
    }
}

fn host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*')
}

fn clean(argument: &str, text: &str, fits: impl Fn(u8) -> bool) -> Result<String, Failure> {
    if !text.is_empty() && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("{argument} `{}` is no such name", output::visible(text))))
}
