//! Any bytes as a message of any type, field by field; and as a text that becomes one.

use tensorbundle_wire::message::{Message, Value};
use tensorbundle_wire::schema::schema;
use tensorbundle_wire::text_wire;

/// Any bytes as a message of any type, field by field; and as a text that becomes one.
pub fn message(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else {
        return;
    };
    let types = schema().messages();
    let Some(ty) = types.get(usize::from(which) % types.len()) else {
        return;
    };
    read(&Message::new(ty, rest.to_vec().into()), 0);
    if let Ok(wire) = text_wire::encode(rest, ty) {
        assert!(Message::new(ty, wire.into()).present().is_ok(), "a text becomes a sound message");
    }
}

fn read(message: &Message, depth: usize) {
    let Ok(present) = message.present() else {
        return;
    };
    for field in present.into_iter().filter(|_| depth < 100) {
        for value in message.values(field).take(64) {
            if let Ok(Value::Message(inner)) = value {
                read(&inner, depth + 1);
            }
        }
    }
}
