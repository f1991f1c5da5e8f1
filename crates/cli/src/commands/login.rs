//! `login`: a user's name and password for a registry.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use registry::credentials::{self, ConfigFile, DOCKER_HUB, Kept};
use registry::{Client, Credential, Secret};

use crate::context::{Context, env};
use crate::output::failure::Failure;
use crate::output::{prompt, stdout};
use crate::registry::{AUTH_CONFIG, Servers};

/// What Docker's help says.
const ABOUT: &str = "\
Authenticate to a registry.
Defaults to Docker Hub if no server is specified.";

/// Authenticate to a registry
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    #[command(flatten)]
    servers: Servers,
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// A server, as the commands name it.
pub struct Server {
    /// The key of its credentials.
    pub key: String,
    /// As it stands in names of images.
    pub name: String,
}

impl Server {
    /// The server that was typed, or Docker's own.
    pub fn new(typed: Option<&str>) -> Self {
        let key = credentials::key(typed.unwrap_or_default());
        let name = if key == DOCKER_HUB { "docker.io" } else { key };
        Self { key: key.to_owned(), name: name.to_owned() }
    }
}

/// Asks the server whether it knows the user, and keeps what it needs to know.
///
/// # Errors
/// There is nobody to ask for what is missing, the server does not know the user, or the credentials cannot be kept.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    check(args)?;
    let password = password(args)?;
    warn_of_environment();
    let server = Server::new(args.server.as_deref());
    let mut login = Login {
        client: args.servers.connect(context)?.client,
        file: args.servers.credentials_file()?,
        server,
    };
    if args.username.is_none() && password.is_none() {
        return login.again();
    }
    login.with(args.username.as_deref(), password, None)
}

/// The credentials of the environment count more than what this command changes.
pub fn warn_of_environment() {
    if env(AUTH_CONFIG).is_some() {
        stdout::complain(format_args!("WARNING: {AUTH_CONFIG} is set and takes precedence."));
    }
}

fn check(args: &Args) -> Result<(), Failure> {
    let wrong = if args.password_stdin && args.password.is_some() {
        "conflicting options: cannot specify both --password and --password-stdin"
    } else if args.password_stdin && args.username.is_none() {
        "the --password-stdin option requires --username to be set"
    } else if args.username.as_deref().is_some_and(str::is_empty) {
        "username is empty"
    } else if args.password.as_deref().is_some_and(str::is_empty) {
        "password is empty"
    } else {
        return Ok(());
    };
    Err(Failure::plain(wrong))
}

/// The password of the command line or of standard input.
fn password(args: &Args) -> Result<Option<Secret>, Failure> {
    if let Some(password) = &args.password {
        stdout::complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        return Ok(Some(Secret::new(password)));
    }
    if !args.password_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|err| Failure::io("read", Path::new("/dev/stdin"), &err))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::plain("password is empty"));
    }
    Ok(Some(Secret::new(text)))
}

struct Login {
    client: Client,
    file: ConfigFile,
    server: Server,
}

impl Login {
    /// With what is known, and if that is not enough, with what the user says.
    fn again(&mut self) -> Result<(), Failure> {
        let Some(Credential::Basic { user, password }) = self.file.find(&self.server.name)? else {
            return self.with(None, None, None);
        };
        let sign = if io::stderr().is_terminal() { "i Info →" } else { " Info ->" };
        stdout::complain(format_args!(
            "Authenticating with existing credentials... [Username: {user}]\n\n\
             {sign} To login with a different account, run 'layercake logout' followed by 'layercake login'\n\n"
        ));
        let credential = Credential::Basic { user: user.clone(), password };
        match self.client.login(&self.server.name, &credential) {
            Ok(token) => return self.keep(&user, credential, token),
            Err(err) if err.is_unauthorized() => stdout::complain("Stored credentials invalid or expired"),
            Err(err) => stdout::complain(format_args!("Login did not succeed, error: {err}")),
        }
        self.with(None, None, Some(&user))
    }

    /// With a name and a password, asked for if they are not given. `known` is the user to propose.
    fn with(
        &mut self,
        user: Option<&str>,
        password: Option<Secret>,
        known: Option<&str>,
    ) -> Result<(), Failure> {
        if (user.is_none() || password.is_none()) && !io::stdin().is_terminal() {
            return Err(Failure::plain("Error: Cannot perform an interactive login from a non TTY device"));
        }
        let user = match user {
            Some(user) => user.trim().to_owned(),
            None => ask_user(known)?,
        };
        let password = match password {
            Some(password) => password,
            None => ask_password()?,
        };
        let credential = Credential::Basic { user: user.clone(), password };
        let token = self.client.login(&self.server.name, &credential)?;
        self.keep(&user, credential, token)
    }

    /// Stores the token that the server gave, else what it was given for.
    fn keep(&mut self, user: &str, credential: Credential, token: Option<Secret>) -> Result<(), Failure> {
        let credential = token.map_or(credential, Credential::IdentityToken);
        let kept = self
            .file
            .store(&self.server.key, &credential, Some(user))
            .map_err(|err| Failure::plain(format_args!("error saving credentials: {err}")))?;
        if let (Kept::InFile(path), Credential::Basic { .. }) = (&kept, &credential) {
            stdout::complain(format_args!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
                 Configure a credential helper to remove this warning. See\n\
                 https://docs.docker.com/go/credential-store/\n",
                path.display()
            ));
        }
        stdout::print("Login Succeeded\n")
    }
}

fn ask_user(known: Option<&str>) -> Result<String, Failure> {
    let question = known.map_or("Username: ".to_owned(), |known| format!("Username ({known}): "));
    let typed = prompt::ask(&question)?;
    match (typed.as_str(), known) {
        ("", Some(known)) => Ok(known.to_owned()),
        ("", None) => Err(Failure::plain("error: username is required")),
        _ => Ok(typed),
    }
}

fn ask_password() -> Result<Secret, Failure> {
    let typed = prompt::ask_secret("Password: ")?;
    if typed.is_empty() {
        return Err(Failure::plain("error: password is required"));
    }
    Ok(Secret::new(typed))
}
