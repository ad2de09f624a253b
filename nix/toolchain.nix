# Rust and crane, both as nixpkgs and the lock file have them: there is no second pin.
{ crane, pkgs }: crane.mkLib pkgs
