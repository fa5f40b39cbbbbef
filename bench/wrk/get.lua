-- Asks for the paths of a file, one after the other, each time as another client.
-- Arguments: a number that no other run has, the file with a path a line, and a bearer token (or nothing).

local threads = 0

function setup(thread)
   thread:set("thread", threads)
   threads = threads + 1
end

local paths, tail, run, count = {}, nil, nil, nil

function init(arguments)
   run = tonumber(arguments[1]) * 16 + thread
   for path in io.lines(arguments[2]) do
      table.insert(paths, "GET " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: ")
   end
   tail = "\r\n\r\n"
   if arguments[3] then
      tail = "\r\nAuthorization: Bearer " .. arguments[3] .. tail
   end
   -- So that threads do not ask for the same at the same time.
   count = math.floor(#paths / 2) * thread
end

function request()
   count = count + 1
   local client = string.format("2001:%x:%x:%x::1", run, math.floor(count / 65536), count % 65536)
   return paths[count % #paths + 1] .. client .. tail
end
