drop function kitloop.export_reservations(uuid, uuid, uuid, timestamptz, timestamptz, integer);
drop function kitloop.reservations_to_export(uuid, uuid, timestamptz, timestamptz);
