drop function kitloop.notify(uuid, text);
drop function kitloop.notification_address(uuid, text);
