//! Names that are close to one that is not there: what the user may have meant.

use strsim::normalized_damerau_levenshtein;

/// How many names are enough.
const MOST: usize = 3;

/// Names this much alike, from 0 to 1, are worth a mention.
const ALIKE: f64 = 0.6;

/// How many names that look alike at first sight are compared letter by letter.
const CLOSER: usize = 32;

/// Beyond this length, first sight has to do.
const LONG: usize = 200;

/// The names nearest to `wanted`, best first.
///
/// Goes over all names once, by what they share at both ends; only the best of those are compared in full.
pub fn near_names<'a>(wanted: &str, names: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    // A fetched tensor's name, `w:0`, for the variable `w`.
    let plain = wanted.rsplit_once(':').map_or(wanted, |(plain, _)| plain);
    if plain.is_empty() {
        return Vec::new();
    }
    let mut best = Vec::new();
    for name in names {
        keep(&mut best, CLOSER, first_sight(plain.as_bytes(), name), name);
    }
    let mut nearest = Vec::new();
    for (score, name) in best {
        keep(&mut nearest, MOST, second_look(plain, name, score), name);
    }
    nearest.into_iter().filter(|&(score, _)| score >= ALIKE).map(|(_, name)| name).collect()
}

/// Keeps the `most` names with the highest scores; the first of equals.
fn keep<'a>(best: &mut Vec<(f64, &'a [u8])>, most: usize, score: f64, name: &'a [u8]) {
    if best.len() == most && best.last().is_some_and(|&(last, _)| last >= score) {
        return;
    }
    let at = best.partition_point(|&(other, _)| other >= score);
    best.insert(at, (score, name));
    best.truncate(most);
}

/// How much of both ends two names share, letter case aside; more than 1 for the same path under another root.
fn first_sight(wanted: &[u8], name: &[u8]) -> f64 {
    let (short, long) = (wanted.len().min(name.len()), wanted.len().max(name.len()));
    let same = |(a, b): &(&u8, &u8)| a.eq_ignore_ascii_case(b);
    let prefix = wanted.iter().zip(name).take_while(same).count();
    let suffix = wanted.iter().rev().zip(name.iter().rev()).take_while(same).count();
    if prefix == long {
        return 2.0;
    }
    let slash = |bytes: &[u8], at: usize| bytes.get(at) == Some(&b'/');
    let longer = if name.len() == long { name } else { wanted };
    let rooted = suffix == short && slash(longer, long - short - 1);
    let scope = prefix == wanted.len() && slash(name, prefix);
    if short > 0 && (rooted || scope) {
        return 1.5;
    }
    (prefix + suffix).min(short) as f64 / long.max(1) as f64
}

fn second_look(wanted: &str, name: &[u8], score: f64) -> f64 {
    if score > 1.0 || wanted.len().max(name.len()) > LONG {
        return score;
    }
    let name = String::from_utf8_lossy(name).to_lowercase();
    score.max(normalized_damerau_levenshtein(&wanted.to_lowercase(), &name))
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
        assert_eq!(near("dense/kenrel", &names)[0], "dense/kernel");
        assert_eq!(near("dense/kernel:0", &names)[0], "dense/kernel");
        assert_eq!(near("Dense/Kernel", &names)[0], "dense/kernel");
        assert_eq!(near("model/dense/kernel", &names)[0], "dense/kernel");
        assert_eq!(near("bias", &names), ["dense/bias"]);
        assert_eq!(near("dense", &names)[..2], ["dense/bias", "dense/kernel"]);
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
