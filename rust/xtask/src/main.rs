//! Chores of the workspace, run as `cargo xtask CHORE`.
#![allow(clippy::print_stderr, reason = "a command line for developers")]

mod protos;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask protos [--check | --descriptors FILE]

  protos                      write prost code and descriptors of rust/wire/protos to rust/wire/src/proto
  protos --check              exit 1 if those are not what the .proto files give
  protos --descriptors FILE   write the .proto files as a serialized FileDescriptorSet";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["protos"] => protos::write(),
        ["protos", "--check"] => protos::check(),
        ["protos", "--descriptors", file] => protos::write_descriptors(Path::new(file)),
        _ => Err(USAGE.into()),
    }
}
