//! What a token allows: `repository:<name>:<action>,…`, several separated by spaces.

/// What a request needs besides a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Need {
    /// The server or repository that credentials are asked for, see [`Credentials`](crate::Credentials).
    pub place: String,
    /// What a token has to allow.
    pub scope: String,
}

/// The right to pull from `name`, and to push to it.
pub(crate) fn repository(name: &str, push: bool) -> String {
    format!("repository:{name}:{}", if push { "pull,push" } else { "pull" })
}

/// All that `ours` and `theirs` allow: what we know to need, and what the server asked for.
pub(crate) fn merge(ours: &str, theirs: &str) -> String {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for scope in ours.split(' ').chain(theirs.split(' ')).filter(|scope| !scope.is_empty()) {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let at = all.iter().position(|(known, _)| *known == resource).unwrap_or_else(|| {
            all.push((resource, Vec::new()));
            all.len() - 1
        });
        for action in actions.split(',') {
            if !all[at].1.contains(&action) {
                all[at].1.push(action);
            }
        }
    }
    let written = all.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(",")));
    written.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_repository_become_one() {
        let push = repository("a/b", true);
        assert_eq!(push, "repository:a/b:pull,push");
        assert_eq!(merge(&push, "repository:a/b:pull"), push);
        assert_eq!(merge(&repository("a/b", false), "repository:a/b:push,pull"), push);
        assert_eq!(merge(&push, ""), push);
        assert_eq!(merge("", "registry:catalog:*"), "registry:catalog:*");
        assert_eq!(
            merge("repository:a:pull", "repository:p/a:pull"),
            "repository:a:pull repository:p/a:pull"
        );
    }
}
