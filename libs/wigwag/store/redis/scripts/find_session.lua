-- Answers the record's pairs, none when it is not there.

local _, fields = load_record()
return fields or {}
