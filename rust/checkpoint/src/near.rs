//! Names that are close to one that is not there: what the user may have meant.

use strsim::normalized_damerau_levenshtein;

/// How many names are enough.
const MOST: usize = 3;

/// Names this much alike, from 0 to 1, are worth a mention.
const ALIKE: f64 = 0.6;

/// Beyond this length, edits are no longer counted.
const LONG: usize = 300;

/// The names nearest to `wanted`, best first.
pub fn near_names<'a>(wanted: &str, names: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let wanted = wanted.to_lowercase();
    // A fetched tensor's name, `w:0`, for the variable `w`.
    let plain = wanted.rsplit_once(':').map_or(wanted.as_str(), |(plain, _)| plain);
    let last = plain.rsplit('/').next().unwrap_or(plain);
    let mut best: Vec<(f64, &[u8])> = Vec::new();
    for bytes in names {
        let name = String::from_utf8_lossy(bytes).to_lowercase();
        let score = score(plain, last, &name);
        if score < ALIKE {
            continue;
        }
        let at = best.partition_point(|&(other, _)| other >= score);
        if at < MOST {
            best.insert(at, (score, bytes));
            best.truncate(MOST);
        }
    }
    best.into_iter().map(|(_, name)| name).collect()
}

fn score(plain: &str, last: &str, name: &str) -> f64 {
    if name == plain {
        return 2.0;
    }
    // The same path under another root, as after `import_scope` or in an object checkpoint.
    let under = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    let shared_path =
        under(name, plain) || under(plain, name) || name.starts_with(&format!("{plain}/"));
    if shared_path && !plain.is_empty() {
        return 1.5;
    }
    if plain.len() > LONG
        || name.len() > LONG
        || name.len().abs_diff(plain.len()) > plain.len() / 2 + 1
    {
        return if under(name, last) && last.len() > 1 { ALIKE } else { 0.0 };
    }
    normalized_damerau_levenshtein(plain, name)
}

#[cfg(test)]
mod tests {
    use super::near_names;

    fn near(wanted: &str, names: &[&'static str]) -> Vec<String> {
        let names = names.iter().map(|name| name.as_bytes());
        near_names(wanted, names)
            .into_iter()
            .map(|name| String::from_utf8_lossy(name).into())
            .collect()
    }

    #[test]
    fn what_was_meant() {
        let names = ["dense/bias", "dense/kernel", "dense_1/kernel", "global_step"];
        assert_eq!(near("dense/kernal", &names)[0], "dense/kernel");
        assert_eq!(near("dense/kernel:0", &names)[0], "dense/kernel");
        assert_eq!(near("Dense/Kernel", &names)[0], "dense/kernel");
        assert_eq!(near("model/dense/kernel", &names), ["dense/kernel"]);
        assert_eq!(near("bias", &names), ["dense/bias"]);
        assert_eq!(near("globalstep", &names), ["global_step"]);
        assert!(near("embedding/table", &names).is_empty());
        assert!(near("", &names).is_empty());
    }

    #[test]
    fn names_may_be_anything() {
        assert!(near_names("x", [&b"\xff\xfe"[..], b""].into_iter()).is_empty());
        assert_eq!(near(&"a".repeat(5000), &["b"]), [""; 0]);
    }
}
