//! Reading and adjusting the parsed form of a template.

use super::Data;
use gotmpl::TemplateError as Inner;
use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos};
use std::collections::BTreeSet;

/// Calls `visit` with every pipeline, outer ones first, in the order of the source.
fn each_pipe(list: &mut ListNode, visit: &mut dyn FnMut(&mut PipeNode)) {
    for node in &mut list.nodes {
        match node {
            Node::Action(action) => in_pipe(&mut action.pipe, visit),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                in_pipe(&mut branch.pipe, visit);
                each_pipe(&mut branch.body, visit);
                if let Some(other) = &mut branch.else_body {
                    each_pipe(other, visit);
                }
            }
            Node::Template(call) => {
                if let Some(pipe) = &mut call.pipe {
                    in_pipe(pipe, visit);
                }
            }
            Node::List(inner) => each_pipe(inner, visit),
            Node::Define(define) => each_pipe(&mut define.body, visit),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

fn in_pipe(pipe: &mut PipeNode, visit: &mut dyn FnMut(&mut PipeNode)) {
    visit(pipe);
    for arg in pipe.commands.iter_mut().flat_map(|command| &mut command.args) {
        let mut arg = arg;
        while let Expr::Chain(_, inner, _) = arg {
            arg = inner;
        }
        if let Expr::Pipe(_, inner) = arg {
            in_pipe(inner, visit);
        }
    }
}

fn each_command(list: &mut ListNode, visit: &mut dyn FnMut(&mut CommandNode)) {
    each_pipe(list, &mut |pipe| pipe.commands.iter_mut().for_each(&mut *visit));
}

/// The first function that `known` does not know.
pub fn unknown_function(list: &mut ListNode, known: impl Fn(&str) -> bool) -> Option<(Pos, String)> {
    let mut unknown = None;
    each_command(list, &mut |command| {
        for arg in &command.args {
            if let Expr::Identifier(pos, name) = innermost(arg)
                && unknown.is_none()
                && !known(name)
            {
                unknown = Some((*pos, name.to_string()));
            }
        }
    });
    unknown
}

fn innermost(expr: &Expr) -> &Expr {
    match expr {
        Expr::Chain(_, inner, _) => innermost(inner),
        other => other,
    }
}

/// Turns a field with arguments, `.Label "x"`, into a call of the function that the field holds.
pub fn call_fields(list: &mut ListNode) {
    each_command(list, &mut |command| {
        if command.args.len() > 1 && matches!(command.args[0], Expr::Field(..) | Expr::Variable(..)) {
            command.args.insert(0, Expr::Identifier(command.pos, CALL.into()));
        }
    });
}

const CALL: &str = "call";

/// The function that reads a field of one of [`MAPS`].
pub const MEMBER: &str = "member";

/// Fields that are maps in Docker's documents. Go reads a key that a map does not have as nothing, where a field
/// that a struct does not have is an error; JSON does not tell which is which.
const MAPS: [&str; 6] = ["Annotations", "Data", "ExposedPorts", "Labels", "Networks", "Volumes"];

/// Turns fields of maps, `.Config.Labels.version`, into calls of [`MEMBER`].
pub fn read_maps(list: &mut ListNode) {
    each_command(list, &mut |command| {
        for arg in &mut command.args {
            let Expr::Field(pos, fields) = &*arg else { continue };
            let pos = *pos;
            let Some(map) = fields.iter().position(|name| MAPS.contains(&name.as_str())) else { continue };
            let [before @ .., key] = &fields[..(map + 2).min(fields.len())] else { continue };
            if before.len() == map {
                continue; // the map itself
            }
            let args = vec![
                Expr::Identifier(pos, MEMBER.into()),
                Expr::Field(pos, before.to_vec()),
                Expr::String(pos, key.as_str().into()),
            ];
            let call = CommandNode { pos, args };
            let pipe = PipeNode { pos, decl: Vec::new(), commands: vec![call], is_assign: false };
            let (member, rest) = (Expr::Pipe(pos, pipe), fields[map + 2..].to_vec());
            *arg = if rest.is_empty() { member } else { Expr::Chain(pos, Box::new(member), rest) };
        }
    });
}

/// The fields of the outermost dot that `list` may read; `None` if it may read all.
pub fn fields(list: &ListNode) -> Option<BTreeSet<String>> {
    let mut names = Some(BTreeSet::new());
    each_command(&mut list.clone(), &mut |command| {
        for arg in &command.args {
            let first = match innermost(arg) {
                Expr::Dot(_) => None,
                Expr::Field(_, fields) => fields.first(),
                Expr::Variable(_, name, fields) if name == "$" => fields.first(),
                _ => continue,
            };
            match (first, &mut names) {
                (Some(first), Some(names)) => drop(names.insert(first.to_string())),
                _ => names = None,
            }
        }
    });
    names
}

/// Removes `marker` from the end of `list`; false if `list` does not end in it.
pub fn strip_end(list: &mut ListNode, marker: &str) -> bool {
    let Some(Node::Text(last)) = list.nodes.last_mut() else { return false };
    let Some(text) = last.text.strip_suffix(marker) else { return false };
    last.text = text.into();
    true
}

/// Whether a text anywhere below `list` ends in `marker`.
pub fn has_text(list: &ListNode, marker: &str) -> bool {
    let in_branch = |branch: &BranchNode| {
        has_text(&branch.body, marker) || branch.else_body.as_ref().is_some_and(|list| has_text(list, marker))
    };
    list.nodes.iter().any(|node| match node {
        Node::Text(text) => text.text.ends_with(marker),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => in_branch(branch),
        Node::Define(define) => has_text(&define.body, marker),
        Node::List(inner) => has_text(inner, marker),
        Node::Action(_) | Node::Template(_) | Node::Break(_) | Node::Continue(_) => false,
    })
}

/// An error of a running template: its message in Go's words, and what it is about.
///
/// gotmpl reports no positions; the first place in the source that fits is the one named.
pub struct Fault {
    pub message: String,
    place: Place,
}

enum Place {
    Unknown,
    /// Where this field is read.
    Field(String),
    /// Where this function is called: the whole call.
    Call(String),
    /// The name of this function, or field with arguments.
    Name(String),
    /// This argument, from 0, of this function.
    Argument(usize, String),
    /// A field that was given arguments.
    FieldCall,
    /// What a `range` goes over.
    Range,
}

impl Fault {
    pub fn of(err: &Inner, data: Data) -> Self {
        match err {
            Inner::MissingKey { key } => Self::missing(key, data),
            Inner::IndexOutOfRange { index } => Self {
                message: format!("error calling index: index out of range: {index}"),
                place: Place::Call("index".into()),
            },
            Inner::ArgCount { name, expected, got } => Self {
                message: format!("wrong number of args for {name}: want at least {expected} got {got}"),
                place: Place::Name(name.clone()),
            },
            Inner::NotIterable(kind) => {
                Self { message: format!("range can't iterate over {kind}"), place: Place::Range }
            }
            Inner::UndefinedTemplate(name) => {
                Self { message: format!("template \"{name}\" not defined"), place: Place::Unknown }
            }
            Inner::UndefinedVariable(name) => {
                Self { message: format!("undefined variable \"{name}\""), place: Place::Unknown }
            }
            Inner::Exec(message) => Self::of_text(message, data),
            other => Self { message: other.to_string(), place: Place::Unknown },
        }
    }

    fn missing(key: &str, data: Data) -> Self {
        let message = match data {
            Data::Row(kind) => format!("can't evaluate field {key} in type {kind}"),
            Data::Header | Data::Document => format!("map has no entry for key \"{key}\""),
        };
        Self { message, place: Place::Field(key.to_owned()) }
    }

    /// For the errors that gotmpl and our functions have as text only.
    fn of_text(text: &str, data: Data) -> Self {
        let word = |rest: &str| rest.split([' ', ':']).next().unwrap_or_default().to_owned();
        if let Some(rest) = text.strip_prefix("can't evaluate field ") {
            let name = word(rest);
            // The values of a document have no Go type.
            let message = match data {
                Data::Document => format!("can't evaluate field {name} in type interface {{}}"),
                Data::Row(_) | Data::Header => text.to_owned(),
            };
            return Self { message, place: Place::Field(name) };
        }
        if let Some((place, message)) = text.strip_prefix("argument ").and_then(|rest| rest.split_once(": "))
            && let Some((number, name)) = place.split_once(" of ")
        {
            let place = Place::Argument(number.parse().unwrap_or(0), name.to_owned());
            return Self { message: message.to_owned(), place };
        }
        if text.starts_with("call: non-function value") {
            return Self { message: "has arguments but takes none".to_owned(), place: Place::FieldCall };
        }
        // gotmpl's own functions.
        if let Some((name @ ("len" | "slice"), cause)) = text.split_once(": ") {
            let message = format!("error calling {name}: {cause}");
            return Self { message, place: Place::Call(name.to_owned()) };
        }
        let place = if let Some(rest) = text.strip_prefix("error calling ") {
            Place::Call(word(rest))
        } else if let Some(rest) = text.strip_prefix("wrong number of args for ") {
            Place::Name(word(rest))
        } else {
            Place::Unknown
        };
        Self { message: text.to_owned(), place }
    }

    /// Byte offset and text of the part of the source that the error is about.
    pub fn locate(&self, list: &ListNode) -> Option<(usize, String)> {
        let mut found = None;
        let mut list = list.clone();
        if let Place::Range = self.place {
            let mut ranges = list.nodes.iter().filter_map(|node| match node {
                Node::Range(branch) => Some((branch.pipe.pos.offset, pipe_text(&branch.pipe))),
                _ => None,
            });
            return ranges.next();
        }
        each_command(&mut list, &mut |command| {
            if found.is_none() {
                found = self.locate_in(command);
            }
        });
        found
    }

    fn locate_in(&self, command: &CommandNode) -> Option<(usize, String)> {
        let calls = |name: &str| match &command.args[0] {
            Expr::Identifier(_, called) => called == name,
            Expr::Field(_, fields) => {
                command.args.len() > 1 && fields.last().is_some_and(|last| last == name)
            }
            _ => false,
        };
        match &self.place {
            Place::Field(name) => {
                command.args.iter().find(|arg| reads(arg, name)).map(|arg| (offset(arg), text(arg)))
            }
            Place::Call(name) if calls(name) => Some((command.pos.offset, command_text(command))),
            Place::Name(name) if calls(name) => Some((command.pos.offset, text(&command.args[0]))),
            Place::FieldCall
                if command.args.len() > 1 && !matches!(command.args[0], Expr::Identifier(..)) =>
            {
                Some((command.pos.offset, text(&command.args[0])))
            }

            Place::Argument(number, name) if calls(name) => match command.args.get(number + 1) {
                Some(arg) => Some((offset(arg), text(arg))),
                // It came through the pipe.
                None => Some((command.pos.offset, command_text(command))),
            },
            _ => None,
        }
    }
}

fn reads(expr: &Expr, field: &str) -> bool {
    match expr {
        Expr::Field(_, fields) | Expr::Variable(_, _, fields) | Expr::Chain(_, _, fields) => {
            fields.iter().any(|name| name == field)
        }
        _ => false,
    }
}

/// Where Go sees an expression: a chain of fields stands at its second link.
fn offset(expr: &Expr) -> usize {
    expr.pos().offset
        + match expr {
            Expr::Field(_, fields) if fields.len() > 1 => 1 + fields[0].len(),
            Expr::Variable(_, name, fields) if !fields.is_empty() => name.len(),
            Expr::Chain(_, inner, _) => text(inner).len(),
            _ => 0,
        }
}

fn text(expr: &Expr) -> String {
    let chain = |start: String, fields: &[gotmpl::parse::SmolStr]| {
        fields.iter().fold(start, |chain, field| chain + "." + field.as_str())
    };
    match expr {
        Expr::Dot(_) => ".".into(),
        Expr::Field(_, fields) => chain(String::new(), fields),
        Expr::Variable(_, name, fields) => chain(name.to_string(), fields),
        Expr::Identifier(_, name) => name.to_string(),
        Expr::String(_, text) => format!("{text:?}"),
        Expr::Number(_, number) => match number {
            gotmpl::parse::Number::Int(n) => n.to_string(),
            gotmpl::parse::Number::Uint(n) => n.to_string(),
            gotmpl::parse::Number::Float(n) => n.to_string(),
        },
        Expr::Bool(_, value) => value.to_string(),
        Expr::Nil(_) => "nil".into(),
        Expr::Pipe(_, pipe) => format!("({})", pipe_text(pipe)),
        Expr::Chain(_, inner, fields) => chain(text(inner), fields),
    }
}

fn pipe_text(pipe: &PipeNode) -> String {
    pipe.commands.iter().map(command_text).collect::<Vec<_>>().join(" | ")
}

fn command_text(command: &CommandNode) -> String {
    command.args.iter().map(text).collect::<Vec<_>>().join(" ")
}
