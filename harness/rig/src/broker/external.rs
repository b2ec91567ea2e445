//! A broker of the user's, spoken to over plain MQTT 3.1.1.

use atspec_model::partner::{Message, SessionId, Ticket};
use tokio::sync::mpsc;

use super::{BrokerError, Event};

#[derive(Debug)]
pub(super) struct External {
    _events: mpsc::Sender<Event>,
}

impl External {
    pub(super) fn new(_address: &str, events: mpsc::Sender<Event>) -> Result<Self, BrokerError> {
        Ok(Self { _events: events })
    }
    pub(super) fn subscribe(&mut self, _session: SessionId, _ticket: Ticket, _filters: &[(Vec<u8>, u8)]) {}
    pub(super) fn unsubscribe(&mut self, _session: SessionId, _filters: &[Vec<u8>]) {}
    pub(super) fn publish(&mut self, _message: Message) {}
    pub(super) fn end_session(&mut self, _session: SessionId) {}
    pub(super) fn reset(&mut self) {}
}
