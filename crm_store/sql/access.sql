-- Who sees which dialogs. Locks nothing.
-- He sees a dialog that somebody within his reach has or had last, that waits where one of those stands on the roster, or
-- that is of a chat of which he himself has or had a dialog. The list of dialogs in views.sql says the same of many.

-- name: sight
WITH holders AS (
    SELECT %(operator_id)s::bigint AS id
    UNION
    SELECT members.operator_id
    FROM department_supervisors JOIN department_members AS members USING (department_id)
    WHERE %(departments)s AND department_supervisors.operator_id = %(operator_id)s
)
SELECT
    array(SELECT id FROM holders ORDER BY id),
    array(SELECT DISTINCT open_channel_id FROM seats JOIN holders ON holders.id = seats.operator_id ORDER BY 1)

-- name: sees_dialog
SELECT EXISTS (
    SELECT FROM dialogs WHERE id = %(dialog_id)s AND (
        operator_id = ANY(%(holders)s)
        OR (status IN ('queued', 'offered') AND open_channel_id = ANY(%(open_channel_ids)s))
    )
) OR EXISTS (
    SELECT FROM dialogs AS asked JOIN dialogs ON dialogs.chat_id = asked.chat_id
    WHERE asked.id = %(dialog_id)s AND (
        dialogs.operator_id = %(operator_id)s
        OR EXISTS (SELECT FROM events WHERE events.dialog_id = dialogs.id AND events.operator_id = %(operator_id)s)
    )
)

-- name: supervises_dialog
-- Whether it is within the reach of one who supervises: somebody within it has the dialog (or had it last), or it waits
-- where one of them stands on the roster. That he once had a dialog of its chat lets him look, not act.
SELECT EXISTS (
    SELECT FROM dialogs WHERE id = %(dialog_id)s AND (
        operator_id = ANY(%(holders)s)
        OR (status IN ('queued', 'offered') AND open_channel_id = ANY(%(open_channel_ids)s))
    )
)

-- name: sees_chats
-- Whether he sees a dialog of any of them.
SELECT EXISTS (
    SELECT FROM dialogs WHERE chat_id = ANY(%(chat_ids)s) AND (
        operator_id = ANY(%(holders)s)
        OR (status IN ('queued', 'offered') AND open_channel_id = ANY(%(open_channel_ids)s))
        OR EXISTS (SELECT FROM events WHERE events.dialog_id = dialogs.id AND events.operator_id = %(operator_id)s)
    )
)

-- name: has_seat
SELECT EXISTS (SELECT FROM seats WHERE operator_id = %(operator_id)s AND open_channel_id = %(open_channel_id)s)

-- name: seats_of
SELECT open_channel_id FROM seats WHERE operator_id = %(operator_id)s ORDER BY 1

-- name: supervises_operator
-- Whether he supervises a department of which the other is a member.
SELECT EXISTS (
    SELECT FROM department_supervisors JOIN department_members AS members USING (department_id)
    WHERE department_supervisors.operator_id = %(operator_id)s AND members.operator_id = %(member_id)s
)
