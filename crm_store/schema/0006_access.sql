-- Scopes: what an operator has held, and what he once held.

CREATE INDEX dialogs_of_operator ON dialogs (operator_id, chat_id) WHERE operator_id IS NOT NULL;
CREATE INDEX events_of_operator ON events (operator_id, dialog_id)
    WHERE operator_id IS NOT NULL AND dialog_id IS NOT NULL;
