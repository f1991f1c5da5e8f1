//! What an instruction says. Variables are not yet replaced: [`Scope`](crate::Scope) does that, at the step.

use model::config::Healthcheck;

use crate::mount::MountFlag;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `ADD`: files, archives and what URLs lead to.
    Add(Add),
    /// `ARG`: variables of the build.
    Arg(Vec<Arg>),
    /// `CMD`: what is run if nothing else is said, or the entry point's arguments.
    Cmd(Command),
    /// `COPY`: files of the context, of another stage or image.
    Copy(Copy),
    /// `ENTRYPOINT`: what is run.
    Entrypoint(Command),
    /// `ENV`: variables of the image.
    Env(Vec<(String, String)>),
    /// `EXPOSE`: ports, sorted as BuildKit does.
    Expose(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`.
    Label(Vec<(String, String)>),
    /// `MAINTAINER`: the image's author.
    Maintainer(String),
    /// `ONBUILD`: an instruction for the builds on top of this image, as it is written.
    Onbuild(String),
    /// `RUN`.
    Run(Run),
    /// `SHELL`: what runs the shell form of the others.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    Stopsignal(String),
    /// `USER`.
    User(String),
    /// `VOLUME`.
    Volume(Vec<String>),
    /// `WORKDIR`.
    Workdir(String),
}

impl Instruction {
    /// The name, in upper case.
    pub fn name(&self) -> &'static str {
        match self {
            Instruction::Add(_) => "ADD",
            Instruction::Arg(_) => "ARG",
            Instruction::Cmd(_) => "CMD",
            Instruction::Copy(_) => "COPY",
            Instruction::Entrypoint(_) => "ENTRYPOINT",
            Instruction::Env(_) => "ENV",
            Instruction::Expose(_) => "EXPOSE",
            Instruction::Healthcheck(_) => "HEALTHCHECK",
            Instruction::Label(_) => "LABEL",
            Instruction::Maintainer(_) => "MAINTAINER",
            Instruction::Onbuild(_) => "ONBUILD",
            Instruction::Run(_) => "RUN",
            Instruction::Shell(_) => "SHELL",
            Instruction::Stopsignal(_) => "STOPSIGNAL",
            Instruction::User(_) => "USER",
            Instruction::Volume(_) => "VOLUME",
            Instruction::Workdir(_) => "WORKDIR",
        }
    }

    /// Whether the step can change files, and so is counted in `[2/5]` and makes a layer.
    pub fn changes_files(&self) -> bool {
        matches!(
            self,
            Instruction::Add(_) | Instruction::Copy(_) | Instruction::Run(_) | Instruction::Workdir(_)
        )
    }

    /// The stages or images that are read beside the step's own: `COPY --from`, `RUN --mount=from=`.
    pub fn origins(&self) -> Vec<&str> {
        match self {
            Instruction::Copy(copy) => copy.from.as_deref().into_iter().collect(),
            Instruction::Run(run) => run.mounts.iter().filter_map(MountFlag::from).collect(),
            _ => Vec::new(),
        }
    }
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A JSON array: words for the kernel.
    Exec(Vec<String>),
    /// Text for the shell, perhaps empty. A shell replaces its variables, not we.
    Shell(String),
}

impl Command {
    /// The words to run: those of the array, or `shell` and the text. Without text, the shell alone.
    pub fn words(&self, shell: &[String]) -> Vec<String> {
        match self {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let text = Some(text).filter(|text| !text.is_empty());
                shell.iter().chain(text).cloned().collect()
            }
        }
    }
}

/// The shell of images that name none.
pub const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// One variable of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Its value if none is given.
    pub default: Option<String>,
}

/// `COPY [--from --chown --chmod --link --parents --exclude] source… dest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// At least one.
    pub sources: Vec<Source>,
    /// Where to.
    pub dest: String,
    /// A stage's name or number, or an image; `None` for the context. Has no variables.
    pub from: Option<String>,
    /// `user[:group]`, by name or number.
    pub chown: Option<String>,
    /// Octal, or symbolic as for chmod(1).
    pub chmod: Option<String>,
    /// Whether the layer stands by itself, whatever is below.
    pub link: bool,
    /// Whether a source's directories are kept.
    pub parents: bool,
    /// Patterns, as in `.dockerignore`, of what is left out.
    pub exclude: Vec<String>,
}

/// `ADD [--chown --chmod --link --exclude --checksum --keep-git-dir --unpack] source… dest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// At least one.
    pub sources: Vec<Source>,
    /// Where to.
    pub dest: String,
    /// `user[:group]`, by name or number.
    pub chown: Option<String>,
    /// Octal, or symbolic as for chmod(1).
    pub chmod: Option<String>,
    /// Whether the layer stands by itself, whatever is below.
    pub link: bool,
    /// Patterns, as in `.dockerignore`, of what is left out.
    pub exclude: Vec<String>,
    /// What a URL must lead to: `sha256:…`.
    pub checksum: Option<String>,
    /// Whether a git repository comes with its `.git`.
    pub keep_git_dir: bool,
    /// Whether archives are unpacked; if not said, those of the context are and those of URLs are not.
    pub unpack: Option<bool>,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path, a pattern, or for `ADD` a URL.
    Path(String),
    /// A file that stands in the Dockerfile itself.
    Heredoc(Heredoc),
}

/// A here-document: `<<name`, the lines that follow, `name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, which is also the file's name.
    pub name: String,
    /// The lines, each with its newline, as they are written.
    pub content: String,
    /// Whether variables are replaced in it (by `COPY` and `ADD`): the name has no quotes.
    pub expand: bool,
    /// `<<-`: tabs at the start of lines go.
    pub chomp: bool,
}

impl Heredoc {
    /// The content, without the tabs that `<<-` takes away.
    pub fn data(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// `RUN [--mount --network --security --device] command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: Command,
    /// The here-documents that the command names, in order.
    pub heredocs: Vec<Heredoc>,
    /// What is mounted meanwhile.
    pub mounts: Vec<MountFlag>,
    /// `default`, `none` or `host`.
    pub network: Option<String>,
    /// `sandbox` or `insecure`.
    pub security: Option<String>,
    /// Devices that are asked for.
    pub devices: Vec<String>,
}

/// How a `RUN` is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// These words.
    Exec(Vec<String>),
    /// This text, by the image's shell.
    Shell(String),
    /// A script with a `#!` of its own: a file of this name in `/dev/pipes`, read-only, mode 0755.
    Script {
        /// The file's name.
        name: String,
        /// What is in it.
        content: String,
    },
}

impl Run {
    /// The here-document that is all of the command, and so a script.
    pub fn script(&self) -> Option<&str> {
        self.only_document().map(|document| document.content.as_str())
    }

    fn only_document(&self) -> Option<&Heredoc> {
        match (&self.command, self.heredocs.as_slice()) {
            (Command::Shell(text), [only]) if crate::lines::heredoc_word(text).is_some() => Some(only),
            _ => None,
        }
    }

    /// How it is carried out: a here-document that is all of the command is the script, any other is left to the shell.
    pub fn invocation(&self) -> Invocation {
        match (&self.command, self.only_document()) {
            (Command::Exec(words), _) => Invocation::Exec(words.clone()),
            (_, Some(script)) if script.content.starts_with("#!") => {
                Invocation::Script { name: script.name.clone(), content: script.data() }
            }
            (_, Some(script)) => Invocation::Shell(script.data()),
            (Command::Shell(text), None) => {
                let documents = self.heredocs.iter().map(|it| format!("\n{}{}", it.content, it.name));
                Invocation::Shell(text.clone() + &documents.collect::<String>())
            }
        }
    }
}
