use super::figures::compare;
use super::{Figures, Tolerance};
use proptest::prelude::*;
use tensorbundle_wire::bundle::ByteOrder;
use tensorbundle_wire::dtype::DataType;

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn of(a: &[f32], b: &[f32], tolerance: Tolerance) -> Figures {
    compare(DataType::FLOAT, ByteOrder::Little, &floats(a), &floats(b), tolerance)
}

#[test]
fn what_equals_what() {
    let nan = f32::from_bits(0xFFC0_1234);
    let all = of(
        &[f32::NAN, 0.0, 1.0, f32::INFINITY],
        &[nan, -0.0, 1.0, f32::INFINITY],
        Tolerance::default(),
    );
    assert_eq!((all.elements, all.changed, all.beyond, all.finite), (4, 1, 0, 2));
    let none = of(
        &[f32::NAN, 1.0, f32::INFINITY],
        &[0.0, f32::NAN, f32::NEG_INFINITY],
        Tolerance { rtol: 9.0, atol: 9.0 },
    );
    assert_eq!((none.changed, none.beyond, none.finite, none.mean_abs()), (3, 3, 0, None));
}

#[test]
fn integers_are_not_squeezed() {
    let bytes = |values: [i64; 2]| values.map(i64::to_le_bytes).concat();
    let (a, b) = (bytes([1 << 53, i64::MIN]), bytes([(1 << 53) + 1, i64::MAX]));
    let found =
        compare(DataType::INT64, ByteOrder::Little, &a, &b, Tolerance { rtol: 0.0, atol: 0.5 });
    assert_eq!((found.changed, found.beyond), (2, 2));
    assert_eq!(found.max_abs(), Some(u64::MAX as f64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn blocks_agree_with_a_loop(
        pairs in proptest::collection::vec((any::<f32>(), any::<f32>(), any::<bool>()), 0..2600),
        wild: bool, rtol in 0.0..2.0, atol in 0.0..2.0,
    ) {
        let tame = |value: f32| if wild { value } else { value % 4.0 };
        let tame = |value: f32| if value.is_nan() && !wild { 1.0 } else { tame(value) };
        let a: Vec<f32> = pairs.iter().map(|&(a, _, _)| tame(a)).collect();
        let b: Vec<f32> = pairs.iter().map(|&(a, b, same)| tame(if same { a } else { b })).collect();
        let found = of(&a, &b, Tolerance { rtol, atol });
        let (mut changed, mut beyond, mut finite, mut sum, mut max) = (0, 0, 0, 0.0, 0.0_f64);
        for (&a, &b) in a.iter().zip(&b) {
            changed += u64::from(a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()));
            let (x, y) = (f64::from(a), f64::from(b));
            let close = (y.is_finite() && (x - y).abs() <= atol + rtol * y.abs()) || x == y;
            beyond += u64::from(!(close || x.is_nan() && y.is_nan()));
            if x.is_finite() && y.is_finite() {
                finite += 1;
                sum += (x - y).abs();
                max = max.max((x - y).abs());
            }
        }
        prop_assert_eq!((found.elements, found.changed, found.beyond), (a.len() as u64, changed, beyond));
        prop_assert_eq!((found.finite, found.max_abs), (finite, max));
        prop_assert!((found.sum_abs - sum).abs() <= 1e-12 * sum);
    }
}
