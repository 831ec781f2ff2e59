//! What a variable is, as far as its name tells (FORMAT 7.6, 8.3, 8.4).
//!
//! ```text
//! w/Adam  w/Adam_1  w/Momentum                    slots of w, as optimizers of TensorFlow 1 name them
//! train/w/Adam                                    the same, made within a scope
//! w/adam_m  w_slot_vr                             of BERT's and of Mesh TensorFlow's optimizers
//! w/ExponentialMovingAverage                      the moving average of w
//! w/.OPTIMIZER_SLOT/opt/m                         a slot of w, in a checkpoint of objects
//! ```

use crate::object_graph::{VALUE, unescaped};

/// What a variable is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Part of the model: what it computes with.
    Weight,
    /// State of an optimizer.
    Slot,
    /// A moving average of another variable.
    Average,
    /// A count of steps.
    Step,
    /// Nothing that the model needs: counters, tables, settings.
    Other,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Slot => "slot",
            Self::Average => "average",
            Self::Step => "step",
            Self::Other => "other",
        }
    }
}

/// A name that says that its variable belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owned<'a> {
    /// The name of the variable it belongs to, perhaps within more scopes.
    pub(crate) owner: &'a [u8],
    /// What it is called there.
    pub(crate) slot: &'a [u8],
    /// A slot or an average.
    pub(crate) kind: Kind,
    /// The name alone is enough; else only if there is such a variable.
    pub(crate) sure: bool,
}

/// Slots, by the name of their optimizer, behind which `_1`, `_2` … may stand.
const SLOTS: [&[u8]; 22] = [
    b"Adam",
    b"AdaMax",
    b"Adamax",
    b"Adagrad",
    b"AdagradDA",
    b"Adadelta",
    b"AdamW",
    b"AdaFactor",
    b"Ftrl",
    b"LAMB",
    b"LARS",
    b"Lars",
    b"LazyAdam",
    b"Lion",
    b"Momentum",
    b"MomentumW",
    b"Nadam",
    b"ProximalAdagrad",
    b"RMSProp",
    b"RMSprop",
    b"YellowFin",
    b"Yogi",
];

/// Slots that are named as they are.
const EXACT_SLOTS: [&[u8]; 4] = [b"adam_m", b"adam_v", b"lamb_m", b"lamb_v"];

/// Slots whose names other variables can have too.
const COMMON_SLOTS: [&[u8]; 14] = [
    b"m",
    b"v",
    b"vhat",
    b"vr",
    b"vc",
    b"momentum",
    b"rms",
    b"mg",
    b"accumulator",
    b"accum_grad",
    b"accum_var",
    b"linear",
    b"gradient_accumulator",
    b"gradient_squared_accum",
];

/// Ends of names of Mesh TensorFlow's slots.
const SUFFIX_SLOTS: [&[u8]; 4] = [b"_slot_vr", b"_slot_vc", b"_slot_v", b"_slot_m"];

const AVERAGE: &[u8] = b"ExponentialMovingAverage";

/// Numbers that optimizers keep once for all variables.
const OPTIMIZER: [&[u8]; 12] = [
    b"beta1_power",
    b"beta2_power",
    b"beta_1",
    b"beta_2",
    b"decay",
    b"learning_rate",
    b"rho",
    b"momentum",
    b"epsilon",
    b"current_loss_scale",
    b"good_steps",
    b"loss_scale",
];

/// Counts of steps.
const STEPS: [&[u8]; 6] =
    [b"global_step", b"iter", b"iterations", b"_iterations", b"step", b"global_step_read"];

/// `name_12` is `name`.
fn without_number(name: &[u8]) -> &[u8] {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    match name.get(..name.len() - digits).and_then(|head| head.strip_suffix(b"_")) {
        Some(head) if digits > 0 && !head.is_empty() => head,
        _ => name,
    }
}

/// The parts before and behind the last `/`.
fn last(name: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match name.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (name.get(..slash), name.get(slash + 1..).unwrap_or_default()),
        None => (None, name),
    }
}

/// The variable that a name says its own belongs to, if it does.
pub(crate) fn owned(name: &[u8]) -> Option<Owned<'_>> {
    const SLOT: &[u8] = b"/.OPTIMIZER_SLOT/";
    if let Some(at) = name.windows(SLOT.len()).position(|part| part == SLOT) {
        let slot = last(name).1;
        return Some(Owned { owner: name.get(..at)?, slot, kind: Kind::Slot, sure: true });
    }
    let (scope, base) = last(name);
    let plain = without_number(base);
    let owner = scope.unwrap_or_default();
    if plain == AVERAGE {
        return Some(Owned { owner, slot: base, kind: Kind::Average, sure: true });
    }
    if scope.is_some() && (SLOTS.contains(&plain) || EXACT_SLOTS.contains(&plain)) {
        return Some(Owned { owner, slot: base, kind: Kind::Slot, sure: true });
    }
    if scope.is_some() && COMMON_SLOTS.contains(&plain) {
        return Some(Owned { owner, slot: base, kind: Kind::Slot, sure: false });
    }
    let suffix = SUFFIX_SLOTS.iter().find(|suffix| name.ends_with(suffix))?;
    let owner = name.get(..name.len() - suffix.len()).filter(|owner| !owner.is_empty())?;
    Some(Owned { owner, slot: suffix.get(1..)?, kind: Kind::Slot, sure: true })
}

/// Is its last part what counts of steps are called?
pub(crate) fn is_step(name: &[u8]) -> bool {
    STEPS.contains(&without_number(last(name).1))
}

/// What a variable is that belongs to no other, by its name.
pub(crate) fn kind_of(name: &[u8]) -> Kind {
    let (scope, base) = last(name);
    let plain = without_number(base);
    let of_optimizer = scope.is_some_and(|scope| {
        scope.split(|&byte| byte == b'/').any(|part| {
            // Most parts are told by their first letter.
            let first = part.first().copied().unwrap_or_default();
            if !(first.is_ascii_uppercase() || matches!(first, b'o' | b'_')) {
                return false;
            }
            let part = without_number(part);
            part == b"optimizer" || part == b"_optimizer" || SLOTS.contains(&part)
        })
    });
    if plain == b"global_step" || (of_optimizer && STEPS.contains(&plain)) {
        return Kind::Step;
    }
    if matches!(plain, b"beta1_power" | b"beta2_power") {
        return Kind::Slot;
    }
    if of_optimizer {
        let trained = scope.is_some_and(|scope| last(scope).1 == b"_trainable_variables");
        let setting = OPTIMIZER.contains(&plain)
            || OPTIMIZER.contains(&base)
            || base.strip_prefix(b"_").is_some_and(|base| OPTIMIZER.contains(&base));
        return if trained || !(setting || is_listed(scope)) { Kind::Weight } else { Kind::Slot };
    }
    if matches!(plain, b"save_counter" | b"_CHECKPOINTABLE_OBJECT_GRAPH") {
        return Kind::Other;
    }
    Kind::Weight
}

/// `optimizer/_variables/3`: a newer optimizer lists its state.
fn is_listed(scope: Option<&[u8]>) -> bool {
    scope.is_some_and(|scope| matches!(last(scope).1, b"_variables" | b"variables"))
}

const ATTRIBUTES: &[u8] = b"/.ATTRIBUTES/";
/// The path of the variable whose value a key of a checkpoint of objects is, its escapes undone.
///
/// `None`: something else of an object. A key that is not of this form is a name of its own.
pub(crate) fn object_path(key: &[u8]) -> Option<Vec<u8>> {
    let Some(at) = key.windows(ATTRIBUTES.len()).position(|part| part == ATTRIBUTES) else {
        return Some(key.to_owned());
    };
    let (path, attribute) = (key.get(..at)?, key.get(at + ATTRIBUTES.len()..)?);
    if attribute != VALUE {
        return None;
    }
    Some(unescaped(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_averages() {
        let of = |name: &'static str| {
            owned(name.as_bytes()).map(|owned| {
                let text = |bytes| std::str::from_utf8(bytes).unwrap();
                (text(owned.owner), text(owned.slot), owned.kind)
            })
        };
        assert_eq!(of("w/Adam"), Some(("w", "Adam", Kind::Slot)));
        assert_eq!(of("a/w/Adam_1"), Some(("a/w", "Adam_1", Kind::Slot)));
        assert_eq!(of("w/adam_m"), Some(("w", "adam_m", Kind::Slot)));
        assert_eq!(of("kernel_slot_vr"), Some(("kernel", "slot_vr", Kind::Slot)));
        assert_eq!(
            of("w/ExponentialMovingAverage"),
            Some(("w", "ExponentialMovingAverage", Kind::Average))
        );
        assert_eq!(of("m/w/.OPTIMIZER_SLOT/opt/m"), Some(("m/w", "m", Kind::Slot)));
        assert_eq!(of("dense/kernel"), None);
        assert_eq!(of("Adam"), None);
    }

    #[test]
    fn kinds_without_an_owner() {
        for (name, kind) in [
            ("global_step", Kind::Step),
            ("train/global_step", Kind::Step),
            ("optimizer/iter", Kind::Step),
            ("optimizer/_iterations", Kind::Step),
            ("beta1_power", Kind::Slot),
            ("train/beta2_power_1", Kind::Slot),
            ("optimizer/beta_1", Kind::Slot),
            ("optimizer/_variables/3", Kind::Slot),
            ("optimizer/_trainable_variables/0", Kind::Weight),
            ("save_counter", Kind::Other),
            ("BatchNorm/moving_mean", Kind::Weight),
            ("model/iter", Kind::Weight),
        ] {
            assert_eq!(kind_of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn keys_of_objects() {
        let path =
            |key: &str| object_path(key.as_bytes()).map(|path| String::from_utf8(path).unwrap());
        assert_eq!(path("m/k.S1/.ATTRIBUTES/VARIABLE_VALUE").as_deref(), Some("m/k/1"));
        assert_eq!(path("k..2/.ATTRIBUTES/VARIABLE_VALUE").as_deref(), Some("k.2"));
        assert_eq!(path("t/.ATTRIBUTES/table-keys"), None);
        assert_eq!(path("dense/kernel").as_deref(), Some("dense/kernel"));
        assert_eq!(
            path("w/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE").as_deref(),
            Some("w/.OPTIMIZER_SLOT/opt/m")
        );
    }
}
