drop function kitloop.notification_document(public.notification_logs);
drop function kitloop.money_document(uuid);
drop function kitloop.dispute_document(uuid, text);
drop function kitloop.wall_clock(timestamptz, text);
