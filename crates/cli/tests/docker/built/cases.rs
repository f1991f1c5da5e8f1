//! The Dockerfiles.

/// A Dockerfile, with what belongs to it.
pub struct Case {
    pub name: &'static str,
    pub file: &'static str,
    pub ignore: &'static str,
    pub args: &'static [&'static str],
}

const fn case(name: &'static str, file: &'static str) -> Case {
    Case { name, file, ignore: "", args: &[] }
}

/// What both build to the same images.
pub const BUILDS: &[Case] = &[
    case(
        "metadata",
        r#"FROM built/base:1
ENV A=1 B="two words" C=$A
ENV old form of it
LABEL l=$B "key with space"='$A'
EXPOSE 90 80/udp 8000-8002
VOLUME /data ["/x"
VOLUME ["/with space", "/y"]
STOPSIGNAL SIGUSR1
USER ann:staff
HEALTHCHECK --interval=90s --timeout=1500ms --retries=3 CMD true "x"
ONBUILD RUN echo $A > /t
MAINTAINER A B <a@example.org>
SHELL ["/bin/sh", "-ec"]
CMD echo "hi" \
  there
ENTRYPOINT ["/bin/sh", "-c"]
"#,
    ),
    case("entrypoint", "FROM built/base:1\nCMD [\"a\"]\nENTRYPOINT echo x\nHEALTHCHECK NONE\n"),
    case(
        "workdirs",
        "FROM built/base:1\nWORKDIR /a/b\nWORKDIR c\nENV D=d\nWORKDIR $D/..\nWORKDIR /\nWORKDIR /bin\n",
    ),
    Case {
        name: "arguments",
        file: r#"ARG TAG=1
ARG G=global
FROM built/base:${TAG:-2} AS one
ARG A=a G B C=${A}c
ENV E=env F=${NONE:-none}${A:+alt}
ARG E=again
RUN echo "$A $G $B $C $E $F $BASE $http_proxy" > /out
FROM one
ARG NEW=${A%a}n
RUN echo "$A $G $NEW $E" > /out2
ENV A=now
RUN echo $A > /out3
"#,
        ignore: "",
        args: &["--build-arg", "B=given", "--build-arg", "http_proxy=proxy"],
    },
    case(
        "modifiers",
        r#"FROM built/base:1
ENV P=/usr/lib/x.tar.gz U=""
ENV a=${P#*/} b=${P##*/} c=${P%.*} d=${P%%.*} e=${P/x/y} f=${P//\//_} g=${U:-u} h=${U-v} i=${U:+w} j=${U+x} k="\$P" l='$P' m=\$P
"#,
    ),
    case(
        "copies",
        r#"FROM built/base:1
COPY one /
COPY one two /files/
COPY dir /dir
COPY dir/ more /both/
COPY --chown=ann:staff one /owned
COPY --chown=7 --chmod=0640 dir /owned-dir
COPY ["with space", "/with space"]
COPY dir/*.txt m?re/one /globbed/
COPY more/[[]x] /
COPY to-dir /link-followed
COPY dir/link /link
WORKDIR /w
COPY one .
COPY one two ./
COPY two /bin/
"#,
    ),
    case(
        "more-copies",
        r#"FROM built/base:1
COPY --link one /linked/one
COPY --exclude=*.md --exclude=sub dir /excluded/
ADD packed.tar /unpacked/
ADD one /added
ADD --chown=1:2 dir /added-dir/
COPY packed.tar /packed.tar
"#,
    ),
    Case {
        name: "ignored",
        file: "FROM scratch\nCOPY . /all/\nCOPY dir /dir/\n",
        ignore: "# comment\n*.tar\ndir/*\n!dir/sub\n**/one\nwith space\nDockerfile\n.dockerignore\n",
        args: &[],
    },
    case(
        "documents",
        r##"FROM built/base:1
ARG A=a
COPY <<one <<-"two" /docs/
$A \$A "q" ${A:-x}
one
	$A \$A
two
COPY --chmod=0700 --chown=1:1 <<EOF /single
x
EOF
RUN <<EOF
echo $A > /r1
echo 'q' > /r2
EOF
RUN cat <<X > /r3 && cat <<Y >> /r3
x $A
X
y
Y
RUN <<-SCRIPT
#!/bin/sh
echo script > /r4
SCRIPT
"##,
    ),
    case(
        "runs",
        r#"FROM built/base:1
RUN echo a > /a && mkdir -p /d/e && echo b > /d/e/f
RUN rm /a; rm -r /d/e; mkdir /d/e; echo new > /d/e/g
RUN ["/bin/sh", "-c", "echo exec > /x"]
RUN chmod 4755 /x; ln /x /y; ln -s x /z
RUN true
SHELL ["/bin/sh", "-e", "-c"]
WORKDIR /tmp
RUN --network=none echo 1 > n
RUN --mount=type=bind,source=dir,target=/mnt/dir cat /mnt/dir/b.md > bound
RUN --mount=type=tmpfs,target=/mnt/t echo 1 > /mnt/t/x
RUN --mount=type=cache,target=/cache,mode=0777 echo 1 > /cache/x
RUN echo a \
  # comment
  b  > joined
USER 1001
RUN echo `id -u` $HOME $PWD > /tmp/who
USER ann
RUN echo `id -u` `id -g` $HOME > /tmp/ann
"#,
    ),
    case(
        "stages",
        r#"FROM built/base:1 AS base
RUN echo base > /base
FROM base AS unused
RUN false
FROM base AS build
COPY dir /src
RUN cat /src/a.txt > /built; mkdir -p /own/in; echo x > /own/x; chown -R 5:6 /own; chmod 750 /own
FROM scratch AS files
COPY --from=build /built /src/sub /out/
FROM built/base:1
COPY --from=files / /
COPY --from=2 --chown=5:6 /src/a.txt /a.txt
COPY --from=built/base:1 /etc/passwd /copied
COPY --from=build /own /got
COPY --from=build /own /got/again/
COPY --from=build --chown=7:8 --chmod=700 /own /changed
COPY --from=build /own/x /own/in /made/
RUN --mount=from=build,source=/src,target=/m cat /m/b.md > /b
"#,
    ),
    Case {
        name: "target",
        file: "FROM built/base:1 AS first\nLABEL a=1\nFROM first AS second\nRUN false\n",
        ignore: "",
        args: &["--target", "first", "--label", "given=x"],
    },
    case("escape", "# escape=`\nFROM built/base:1\nENV A=`\nC:\\x\nRUN echo a `\n  $A > /a\n"),
];

/// What both refuse in the same words.
pub const MISTAKES: &[Case] = &[
    case("unknown", "FROM built/base:1\nRUNN x\n"),
    case("no-from", "RUN x\n"),
    case("empty", "# nothing\n"),
    case("args-only", "ARG A\n"),
    case("env", "FROM built/base:1\nENV x\n"),
    case("env-pairs", "FROM built/base:1\n\n# c\nENV a=b c\nRUN x\n"),
    case("copy-one", "FROM built/base:1\nCOPY a\n"),
    case("copy-flag", "FROM built/base:1\nCOPY --frm=a b c\n"),
    case("copy-missing", "FROM built/base:1\nCOPY nowhere /\n"),
    case("copy-from-variable", "FROM built/base:1\nARG X=1\nCOPY --from=$X a b\n"),
    case("copy-from-later", "FROM built/base:1\nCOPY --from=3 a b\n"),
    case("stage-name", "FROM built/base:1 AS 1x\n"),
    case("from-words", "FROM built/base:1 x\n"),
    case("from-blank", "FROM $nothing\n"),
    case("from-upper", "FROM Upper\n"),
    case("shell", "FROM built/base:1\nSHELL sh -c\n"),
    case("json", "FROM built/base:1\nCMD [1]\n"),
    case("onbuild", "FROM built/base:1\nONBUILD FROM x\n"),
    case("healthcheck", "FROM built/base:1\nHEALTHCHECK FOO\n"),
    case("document", "FROM built/base:1\nRUN <<EOF\nx\n"),
    case("expansion", "FROM built/base:1\nENV a=${b:?must be there}\n"),
    case("modifier", "FROM built/base:1\nENV a=${b^}\n"),
    case("signal", "FROM built/base:1\nSTOPSIGNAL NOPE\n"),
    case("mount-type", "FROM built/base:1\nRUN --mount=type=bnd,target=/x true\n"),
    case("mount-key", "FROM built/base:1\nRUN --mount=type=bind,foo=bar,target=/x true\n"),
    case("network", "FROM built/base:1\nRUN --network=nowhere true\n"),
    case("escape", "# escape=x\nFROM built/base:1\n"),
    case("run", "FROM built/base:1\nRUN true\nRUN echo oh; \\\n  exit 3\nRUN true\n"),
    Case { name: "target", file: "FROM built/base:1 AS a\n", ignore: "", args: &["--target", "b"] },
];

/// What both warn of in the same words.
pub const UNWISE: &[Case] = &[
    case(
        "casing",
        "FROM built/base:1 as Upper\nLABEL a=1\nlabel b=2\nLaBel c=3\nfrom built/base:1 AS two\nUSER 1\n",
    ),
    case("lower", "from built/base:1 AS x\nlabel a=1\nLABEL b=2\nuser 1\n"),
    case("gap", "FROM built/base:1\nLABEL a=1 \\\n\n  b=2\n"),
    case("legacy", "FROM built/base:1\nENV a b\nLABEL c d e\nENV f=g\n"),
    case(
        "secrets",
        "FROM built/base:1\nARG TOKEN\nENV MY_PASSWORD=x PUBLIC_KEY=y\nENV AWS_SECRET_ACCESS_KEY=z apikey=1\n",
    ),
    case("maintainer", "FROM built/base:1\nMAINTAINER me\n"),
    case("workdir", "FROM built/base:1\nWORKDIR a\nWORKDIR /b\nWORKDIR c\n"),
    case(
        "several",
        "FROM built/base:1\nCMD [\"a\"]\nCMD [\"b\"]\nENTRYPOINT [\"c\"]\nENTRYPOINT [\"d\"]\nHEALTHCHECK NONE\nHEALTHCHECK NONE\n",
    ),
    case("json", "FROM built/base:1\nCMD a b\nENTRYPOINT c\n"),
    case("json-with-shell", "FROM built/base:1\nSHELL [\"/bin/sh\", \"-c\"]\nCMD a b\n"),
    case(
        "names",
        "FROM built/base:1 AS a\nFROM a AS a\nLABEL x=1\nFROM built/base:1 AS scratch\nLABEL x=2\n",
    ),
    case(
        "skipped",
        "# check=skip=MaintainerDeprecated,JSONArgsRecommended\nFROM built/base:1\nMAINTAINER x\nCMD y\nENV a b\n",
    ),
];
