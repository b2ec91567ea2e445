//! Credentials as clouds hand them out.

use atspec_model::case::{Case, Context};

use super::case_of;
use crate::words::*;

/// The longest client id that clouds hand out.
const CLIENT: usize = 128;

pub(super) fn long_client(cx: &Context<'_>) -> Case {
    let mut client = cx.bindings.client.clone().into_bytes();
    client.extend(letters(CLIENT.saturating_sub(client.len())));
    let session = session(cx).choosing("client", &client);
    case_of("long-client-id")
        .steps(session.commands().map(Try))
        .expect([connect_has(&format!("its client id of {CLIENT} characters"), move |connect| {
            connect.client_id.as_bytes() == client
        })])
}

pub(super) fn token(cx: &Context<'_>) -> Case {
    let client = &cx.bindings.client;
    let username = format!("hub.azure-devices.net/{client}/?api-version=2021-04-12");
    let password = format!(
        "SharedAccessSignature sr=hub.azure-devices.net%2Fdevices%2F{client}&sig={}%3D&se=1790000000",
        String::from_utf8_lossy(&letters(43))
    );
    let session = session(cx).choosing("username", &username).choosing("password", &password);
    let what = format!("this user name of {} and this password of {} bytes", username.len(), password.len());
    case_of("token-password").steps(session.commands().map(Try)).expect([connect_has(
        &what,
        move |connect| {
            connect.username.as_ref().is_some_and(|name| name.as_bytes() == username.as_bytes())
                && connect.password.as_deref() == Some(password.as_bytes())
        },
    )])
}
