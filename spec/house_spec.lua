-- What stands around the library: the rock, the Makefile, the scripts.
local shell = require "spec.support.shell"

local values = {
  lua = jit and "luajit" or "lua" .. _VERSION:match "%d.%d",
  version = _VERSION:match "%d.%d",
  -- As a user calls it, not as a part of the make that runs the specs.
  make = "env -u MAKEFLAGS -u MAKELEVEL -u LUA -u SPEC -u LUA_PATH -u LUA_CPATH make",
}

--- The standard output of a command that has to succeed, with the values for {names}.
local function output(command)
  local result = shell.run((command:gsub("{(%w+)}", values)))
  assert.are.equal(0, result.status, result.errors)
  return result.output
end

local function exported(library)
  return output("nm -D --defined-only '" .. library .. "' | awk '{ print $NF }'")
end

describe("#house", function()
  setup(function()
    values.scratch = output("mktemp -d"):match "%S+"
    values.tree = values.scratch .. "/tree"
    values.bin = values.scratch .. "/bin"
  end)

  teardown(function()
    output "rm -rf '{scratch}'"
  end)

  describe("the rock", function()
    setup(function()
      values.cjson = package.searchpath("cjson", package.cpath):gsub("cjson(%.%w+)$", "?%1")
      values.argparse = package.searchpath("argparse", package.path):gsub("argparse", "?")
      output [[
        mkdir '{scratch}/copy' && cp -R sendapi-scm-1.rockspec src lua '{scratch}/copy' &&
        cd '{scratch}/copy' && env -u LUA_PATH -u LUA_CPATH HOME='{scratch}' \
          luarocks --lua-version {version} make --deps-mode=none --tree '{tree}' 2>&1]]
    end)

    it("is all that a program needs beside lua-cjson", function()
      assert.are.equal(
        "function\n",
        output [[
          cd / &&
          LUA_PATH='{tree}/share/lua/{version}/?.lua;{tree}/share/lua/{version}/?/init.lua' \
          LUA_CPATH='{tree}/lib/lua/{version}/?.so;{cjson}' \
          {lua} -e 'print(type(require "sendapi".client))']]
      )
    end)

    it("has the command, for a shell that knows nothing of the tree", function()
      local said = output [[
        cd / && LUA_CPATH='{cjson}' LUA_PATH='{argparse}' '{tree}/bin/sendapi' --version]]
      assert.are.equal("sendapi " .. require "sendapi.version" .. "\n", said)
    end)

    it("exports one symbol", function()
      local core = "{tree}/lib/lua/{version}/sendapi/core.so"
      assert.are.equal("luaopen_sendapi_core\n", exported(core))
    end)

    it("has the SQLite store apart, with one symbol", function()
      local store = "{tree}/lib/lua/{version}/sendapi/store/sqlite.so"
      assert.are.equal("luaopen_sendapi_store_sqlite\n", exported(store))
    end)

    it("has the Redis store apart, with one symbol", function()
      local store = "{tree}/lib/lua/{version}/sendapi/store/redis.so"
      assert.are.equal("luaopen_sendapi_store_redis\n", exported(store))
    end)
  end)

  describe("make", function()
    it("builds a core that exports one symbol", function()
      local core = package.searchpath("sendapi.core", package.cpath)
      assert.are.equal("luaopen_sendapi_core\n", exported(core))
      local libraries = output("ldd '" .. core .. "'")
      assert.falsy(libraries:find "sqlite")
      assert.falsy(libraries:find "hiredis")
    end)

    it("builds a SQLite store that the core does not need", function()
      local store = package.searchpath("sendapi.store.sqlite", package.cpath)
      assert.are.equal("luaopen_sendapi_store_sqlite\n", exported(store))
      assert.are.equal("userdata", type(require "sendapi.store.sqlite"))
    end)

    it("builds a Redis store that the core does not need", function()
      local store = package.searchpath("sendapi.store.redis", package.cpath)
      assert.are.equal("luaopen_sendapi_store_redis\n", exported(store))
      assert.are.equal("userdata", type(require "sendapi.store.redis"))
    end)

    it("builds without hiredis where there is no header, and says so", function()
      local said = output [[
        {make} -s objects LUA={lua} BUILD='{scratch}/without-redis' HEADER_redis=nowhere.h 2>&1]]
      assert.truthy(said:find("Built without the outbox in Redis", 1, true), said)
      output "test -e '{scratch}/without-redis/{lua}/sendapi/store/sqlite.so'"
      output "test ! -e '{scratch}/without-redis/{lua}/sendapi/store/redis.so'"
    end)

    it("builds without SQLite where there is no header, and says so", function()
      local said = output [[
        {make} -s objects LUA={lua} BUILD='{scratch}/without' HEADER_sqlite=nowhere.h 2>&1]]
      assert.truthy(said:find("Built without the outbox in a SQLite file", 1, true), said)
      output "test -e '{scratch}/without/{lua}/sendapi/core.so'"
      output "test ! -e '{scratch}/without/{lua}/sendapi/store/sqlite.so'"
    end)

    it("alone lists every target", function()
      local help = output "{make}"
      local targets = "deps build env demo test lint bench install clean help "
        .. "test-valgrind test-asan test-tsan test-crash "
      for target in targets:gmatch "%S+" do
        assert.truthy(help:find("make " .. target .. " ", 1, true), target)
      end
      for target in help:gmatch "make ([a-z-]+) " do
        assert.truthy((" " .. targets):find(" " .. target .. " ", 1, true), target)
      end
    end)

    -- Prints the search paths of this Lua in a shell that has set them to `before`.
    local function paths(before)
      values.before = before
      return output [[
        {before}; eval "$({make} -s env LUA={lua})"; cd /
        {lua} -e 'require "sendapi.core"; print(package.path .. "\n" .. package.cpath)']]
    end

    it("env lets a Lua find the build", function()
      local found = paths "unset LUA_PATH LUA_CPATH"
      assert.truthy(found:find("/lua/?/init.lua;", 1, true))
      assert.truthy(found:find("/" .. values.lua .. "/?.so;", 1, true))
      assert.truthy(found:find("/usr/local/share/lua/", 1, true), "the default path is gone")
    end)

    it("env is for Lua 5.4 unless told", function()
      assert.truthy(output("{make} -s env"):find("/lua5.4/?.so;", 1, true))
    end)

    it("env leaves in place what was set before", function()
      local found = paths "LUA_PATH='/a b/?.lua'; LUA_CPATH='/c/?.so;;'"
      assert.truthy(found:find(";/a b/?.lua\n", 1, true))
      assert.truthy(found:find ";/c/%?%.so;.*/usr/local/lib/lua/")
    end)

    it("install copies to where a Lua looks", function()
      output [[
        {make} -s install LUA={lua} DESTDIR='{scratch}' PREFIX=/prefix
        cd / && prefix='{scratch}/prefix' &&
        LUA_PATH="$prefix/share/lua/{version}/?/init.lua;$prefix/share/lua/{version}/?.lua;;" \
        LUA_CPATH="$prefix/lib/lua/{version}/?.so;;" \
        {lua} -e 'require "sendapi"' &&
        env -u LUA_PATH -u LUA_CPATH "$prefix/bin/sendapi" --version >/dev/null]]
    end)
  end)

  describe("deps", function()
    local groups = { "build", "demo", "test", "valgrind", "lint", "bench" }

    -- A system where every package is installed but those in $MISSING, and apt-get only says what
    -- it was called with.
    setup(function()
      local commands = {
        id = "echo 0",
        ["apt-get"] = 'echo "apt-get $*"',
        ["dpkg-query"] = [[
          shift 2
          for package in "$@"; do
            case " $MISSING " in
              *" $package "*) echo "not-installed $package" ;;
              *) echo "installed $package" ;;
            esac
          done]],
      }
      output "mkdir '{bin}'"
      for name, text in pairs(commands) do
        shell.write_file(values.bin .. "/" .. name, "#!/bin/sh\n" .. text .. "\n")
      end
      output "chmod +x '{bin}'/*"
    end)

    local function install(group, missing)
      values.group, values.missing = group, missing
      return output "MISSING='{missing}' PATH='{bin}':$PATH .ci/deps {group} 2>&1"
    end

    it("says and does nothing when nothing is missing", function()
      for _, group in ipairs(groups) do
        assert.are.equal("", install(group, ""))
      end
    end)

    it("installs what is missing and nothing else", function()
      local said = install("demo build", "nginx lua-cjson")
      local commands = "\napt%-get [^\n]* update\n"
        .. "apt%-get [^\n]* %-%-no%-install%-recommends [^\n]*install lua%-cjson nginx\n$"
      assert.truthy(said:find(commands), said)
    end)

    it("never asks for the LuaJIT that excludes nginx's", function()
      for _, group in ipairs(groups) do
        assert.are.equal("", install(group, "luajit libluajit-5.1-dev libluajit-5.1-2"))
      end
    end)

    it("names the packages where there is no apt", function()
      local said = output "env -i PATH=/nowhere /bin/sh .ci/deps test 2>&1"
      for _, name in ipairs { "Alpine", "Fedora", "Homebrew" } do
        assert.truthy(said:find(name, 1, true), name)
      end
    end)

    it("refuses a group that it does not know", function()
      assert.are.equal(2, shell.run(".ci/deps everything").status)
    end)
  end)
end)
