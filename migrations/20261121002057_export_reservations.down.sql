drop function kitloop.export_reservations(uuid, uuid, uuid, timestamptz, timestamptz, integer);
drop function kitloop.exported_reservation(public.reservations);
