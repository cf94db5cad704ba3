-- Answers as "answer" does, nil when no binding is in force.

local kept = load_kept()
if #kept.bindings == 0 then
  return nil
end
return answer(kept)
