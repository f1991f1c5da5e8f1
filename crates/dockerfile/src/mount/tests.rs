use super::*;
use crate::scope::Globals;

fn scope() -> Scope {
    Globals::bare('\\').stage(&["ID=cache".to_owned()])
}

fn mount(text: &str) -> Result<Mount> {
    MountFlag::parse(text)?.resolve(&scope())
}

#[test]
fn kinds_have_their_defaults() {
    let bind = Mount { target: Some("/x".into()), read_only: true, ..Mount::default() };
    assert_eq!(mount("target=/x"), Ok(bind.clone()));
    assert_eq!(mount("type=bind,dst=/x,rw"), Ok(Mount { read_only: false, ..bind.clone() }));
    let cache = Mount { kind: MountKind::Cache, read_only: false, ..bind.clone() };
    assert_eq!(
        mount("type=cache,target=/x,id=$ID,sharing=locked,mode=0700,uid=1,gid=2,from=b,source=/s"),
        Ok(Mount {
            id: Some("cache".into()),
            sharing: Sharing::Locked,
            mode: Some(0o700),
            uid: Some(1),
            gid: Some(2),
            from: Some("b".into()),
            source: Some("/s".into()),
            ..cache
        })
    );
    let tmpfs = Mount { kind: MountKind::Tmpfs, size: 64 << 20, read_only: false, ..bind };
    assert_eq!(mount("type=tmpfs,target=/x,size=64m"), Ok(tmpfs));
    let secret = mount("type=secret,id=x,env=TOKEN,required").unwrap();
    assert_eq!(
        (secret.kind, secret.env.as_deref(), secret.required),
        (MountKind::Secret, Some("TOKEN"), true)
    );
    assert_eq!(mount("type=secret,target=/run/x").unwrap().id, None);
}

#[test]
fn fields_are_csv() {
    assert_eq!(mount("\"target=/a,b\",type=tmpfs").unwrap().target.as_deref(), Some("/a,b"));
    assert_eq!(mount("\"target=/a\\\"\"b\"").unwrap().target.as_deref(), Some("/a\"b"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (text, why) in [
        ("type=bnd,target=/x", "unsupported mount type \"bnd\" (did you mean bind?)"),
        ("target=/x,tpye=bind", "unexpected key 'tpye' in 'tpye=bind' (did you mean type?)"),
        ("target=/x,foo", "invalid field 'foo' must be a key=value pair"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,ro=maybe", "invalid value for ro: maybe"),
        ("target=/x,mode=0777", "mode not allowed for \"bind\" type mounts"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
        ("type=cache,target=/x,sharing=all", "unsupported sharing value \"all\""),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=tmpfs", "mount target must be set"),
        ("target=/x,from=$B", "'from' doesn't support variable expansion, define alias stage instead"),
        ("target=\"x", "failed to parse csv mounts: bare \" in non-quoted field"),
        ("\"target=x", "failed to parse csv mounts: extraneous or missing \" in quoted field"),
    ] {
        assert_eq!(mount(text).expect_err(text).0, why, "{text}");
    }
}
