--- What the web chat's workers share, when one is slower than the other.
describe("the web chat's room", function()
  local path, ngx_before, dict, sleeps

  --- A shared dict that never forgets.
  local function new_dict()
    local values = {}
    return {
      values = values,
      get = function(_, key)
        return values[key]
      end,
      set = function(_, key, value)
        values[key] = value
        return true
      end,
      add = function(_, key, value)
        local is_new = values[key] == nil
        values[key] = is_new and value or values[key]
        return is_new
      end,
      incr = function(_, key, by, first)
        values[key] = (values[key] or first) + by
        return values[key]
      end,
      delete = function(_, key)
        values[key] = nil
      end,
      expire = function() end,
    }
  end

  before_each(function()
    path, ngx_before, dict, sleeps = package.path, rawget(_G, "ngx"), new_dict(), 0
    package.path = "examples/web_chat/?.lua;" .. path
    package.loaded.room = nil
  end)

  after_each(function()
    package.path, package.loaded.room = path, nil
    rawset(_G, "ngx", ngx_before)
  end)

  --- The room, in an nginx whose every sleep does something.
  local function load_room(on_sleep)
    rawset(_G, "ngx", {
      shared = { chat = dict },
      time = os.time,
      sleep = function()
        sleeps = sleeps + 1
        on_sleep()
      end,
    })
    local getenv = os.getenv
    os.getenv = function(name) -- luacheck: ignore
      return name == "SENDAPI_TOKEN" and "token" or getenv(name)
    end
    local fine, room = pcall(require, "room")
    os.getenv = getenv -- luacheck: ignore
    return assert(fine and room, room)
  end

  local function numbers_since(room, number)
    local numbers = {}
    local last = room.each_since("t", number, function(each)
      numbers[#numbers + 1] = each
    end)
    return numbers, last
  end

  it("waits for an event that another worker has numbered and not written yet", function()
    local hidden
    local room = load_room(function()
      if sleeps == 5 then
        dict.values["event t 2"] = hidden
      end
    end)
    for _ = 1, 3 do
      room.append("t", { type = "message" })
    end
    hidden, dict.values["event t 2"] = dict.values["event t 2"], nil
    assert.same({ { 1, 2, 3 }, 3 }, { numbers_since(room, 0) })
  end)

  it("passes over what is gone, without waiting long, however much it is", function()
    local room = load_room(function() end)
    for _ = 1, 200 do
      room.append("t", { type = "message" })
    end
    for number = 1, 199 do
      dict.values["event t " .. number] = nil
    end
    assert.same({ { 200 }, 200 }, { numbers_since(room, 0) })
    assert.is_true(sleeps <= 50)
  end)
end)
