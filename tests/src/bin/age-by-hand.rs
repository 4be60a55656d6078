//! Stands in for the commands `age` and `age-keygen`, as far as "Request a role by hand" in docs/contract.md uses them: a
//! machine that plays the scenarios need not have them. By which name it is called says which of the two it is.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

use age::{Decryptor, Identity, armor::ArmoredReader, secrecy::ExposeSecret as _, x25519};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [command, arguments @ ..] = &arguments[..] else { return Err("no name".into()) };
    match (Path::new(command).file_name().and_then(|it| it.to_str()), arguments) {
        (Some("age-keygen"), ["-o", file]) => {
            let key = x25519::Identity::generate();
            let public = key.to_public();
            let text = format!("# public key: {public}\n{}\n", key.to_string().expose_secret());
            // As the real one does, it takes no file that is there.
            fs::File::create_new(file)?.write_all(text.as_bytes())?;
            eprintln!("Public key: {public}");
        }
        (Some("age-keygen"), ["-y", file]) => println!("{}", key_of(file)?.to_public()),
        (Some("age"), ["--decrypt", "-i", file]) => {
            let (key, mut text) = (key_of(file)?, String::new());
            let sealed = Decryptor::new(ArmoredReader::new(io::stdin()))?;
            sealed.decrypt([&key as &dyn Identity].into_iter())?.read_to_string(&mut text)?;
            print!("{text}");
        }
        other => return Err(format!("the stand-in does not know {other:?}").into()),
    }
    Ok(())
}

fn key_of(file: &str) -> Result<x25519::Identity, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let key = text.lines().find(|line| !line.starts_with('#')).ok_or("no key")?;
    Ok(key.parse()?)
}
