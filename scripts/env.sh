# Shared by the scripts; to be sourced from the repository's root.

RUST_WANTED=1.95.0
export DOCKER_BUILDKIT=0 # The builder that every Docker package ships; buildx is an extra.

say() { printf '\033[1m%s\033[0m\n' "── $*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then command "$@"; else sudo "$@"; fi
}

# True when a Rust compiler that is new enough answers; prefers the pinned one, takes a newer one where it is there.
have_cargo() {
    if ! command -v cargo >/dev/null 2>&1; then
        [ -x "$HOME/.cargo/bin/cargo" ] || return 1
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    cargo --version >/dev/null 2>&1 && return 0
    # rustup is here but can neither find nor fetch the pinned compiler.
    local stable
    stable=$(rustc +stable --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$stable" ] && [ "$(printf '%s\n%s\n' "$RUST_WANTED" "$stable" | sort -V | head -n1)" = "$RUST_WANTED" ] || return 1
    export RUSTUP_TOOLCHAIN=stable
}
