rockspec_format = "3.0"
package = "sendapi"
version = "scm-1"

source = {
  url = "git+https://github.com/sendapi/sendapi.git",
}

description = {
  summary = "Signed messages to RingCentral Engage Digital: the Send API of its SDK sources",
  detailed = [[
A small C core under a Lua library: it checks, serializes and signs a message on the caller's
thread, and a background thread delivers it with libcurl.]],
  homepage = "https://github.com/sendapi/sendapi",
  license = "MIT",
}

dependencies = {
  "lua >= 5.1, < 5.6",
  "lua-cjson",
}

-- Here so that `luarocks make CURL_DIR=... OPENSSL_DIR=... SQLITE_DIR=...` is understood. No
-- library is looked for, and no header of curl's or SQLite's: LuaRocks does not look where a
-- multi-arch system keeps them. The compiler does. LuaRocks knows no module that may be left out:
-- without SQLite it is `make install`.
external_dependencies = {
  CURL = {},
  OPENSSL = { header = "openssl/evp.h" },
  SQLITE = {},
}

build = {
  type = "builtin",
  modules = {
    sendapi = "lua/sendapi/init.lua",
    ["sendapi.actions"] = "lua/sendapi/actions.lua",
    ["sendapi.call"] = "lua/sendapi/call.lua",
    ["sendapi.check.cases.answers"] = "lua/sendapi/check/cases/answers.lua",
    ["sendapi.check.cases.change"] = "lua/sendapi/check/cases/change.lua",
    ["sendapi.check.cases.create"] = "lua/sendapi/check/cases/create.lua",
    ["sendapi.check.cases.info"] = "lua/sendapi/check/cases/info.lua",
    ["sendapi.check.cases.list"] = "lua/sendapi/check/cases/list.lua",
    ["sendapi.check.cases.requests"] = "lua/sendapi/check/cases/requests.lua",
    ["sendapi.check.cases.show"] = "lua/sendapi/check/cases/show.lua",
    ["sendapi.check.cases.signature"] = "lua/sendapi/check/cases/signature.lua",
    ["sendapi.check.cases.waiting"] = "lua/sendapi/check/cases/waiting.lua",
    ["sendapi.check"] = "lua/sendapi/check/init.lua",
    ["sendapi.check.objects"] = "lua/sendapi/check/objects.lua",
    ["sendapi.check.reader"] = "lua/sendapi/check/reader.lua",
    ["sendapi.check.report"] = "lua/sendapi/check/report.lua",
    ["sendapi.check.session"] = "lua/sendapi/check/session.lua",
    ["sendapi.client"] = "lua/sendapi/client.lua",
    ["sendapi.connector"] = "lua/sendapi/connector/init.lua",
    ["sendapi.engine"] = "lua/sendapi/engine.lua",
    ["sendapi.error"] = "lua/sendapi/error.lua",
    ["sendapi.json"] = "lua/sendapi/json.lua",
    ["sendapi.log"] = "lua/sendapi/log.lua",
    ["sendapi.options"] = "lua/sendapi/options.lua",
    ["sendapi.outbox"] = "lua/sendapi/outbox.lua",
    ["sendapi.prometheus"] = "lua/sendapi/prometheus.lua",
    ["sendapi.queue"] = "lua/sendapi/queue.lua",
    ["sendapi.runtime"] = "lua/sendapi/runtime/init.lua",
    ["sendapi.schema"] = "lua/sendapi/schema.lua",
    ["sendapi.source"] = "lua/sendapi/source.lua",
    ["sendapi.typing"] = "lua/sendapi/typing.lua",
    ["sendapi.url"] = "lua/sendapi/url.lua",
    ["sendapi.version"] = "lua/sendapi/version.lua",
    ["sendapi.connector.answer"] = "lua/sendapi/connector/answer.lua",
    ["sendapi.connector.definition"] = "lua/sendapi/connector/definition.lua",
    ["sendapi.connector.nginx"] = "lua/sendapi/connector/nginx.lua",
    ["sendapi.connector.options"] = "lua/sendapi/connector/options.lua",
    ["sendapi.connector.page"] = "lua/sendapi/connector/page.lua",
    ["sendapi.connector.request"] = "lua/sendapi/connector/request.lua",
    ["sendapi.connector.store"] = "lua/sendapi/connector/store.lua",
    ["sendapi.runtime.blocking"] = "lua/sendapi/runtime/blocking.lua",
    ["sendapi.runtime.cqueues"] = "lua/sendapi/runtime/cqueues.lua",
    ["sendapi.runtime.luv"] = "lua/sendapi/runtime/luv.lua",
    ["sendapi.runtime.nginx"] = "lua/sendapi/runtime/nginx.lua",
    ["sendapi.runtime.tick"] = "lua/sendapi/runtime/tick.lua",
    ["sendapi.sandbox.certificate"] = "lua/sendapi/sandbox/certificate.lua",
    ["sendapi.sandbox.commands"] = "lua/sendapi/sandbox/commands.lua",
    ["sendapi.sandbox.configuration"] = "lua/sendapi/sandbox/configuration.lua",
    ["sendapi.sandbox.faults"] = "lua/sendapi/sandbox/faults.lua",
    ["sendapi.sandbox.host"] = "lua/sendapi/sandbox/host.lua",
    ["sendapi.sandbox.nginx"] = "lua/sendapi/sandbox/nginx.lua",
    ["sendapi.sandbox.plan"] = "lua/sendapi/sandbox/plan.lua",
    ["sendapi.sandbox.poller"] = "lua/sendapi/sandbox/poller.lua",
    ["sendapi.sandbox.rules"] = "lua/sendapi/sandbox/rules.lua",
    ["sendapi.sandbox.shell"] = "lua/sendapi/sandbox/shell.lua",
    ["sendapi.sandbox.wire"] = "lua/sendapi/sandbox/wire.lua",
    ["sendapi.core"] = {
      sources = {
        "src/base64.c",
        "src/buffer.c",
        "src/command.c",
        "src/date.c",
        "src/deliverer.c",
        "src/endpoint.c",
        "src/engine.c",
        "src/failure.c",
        "src/histogram.c",
        "src/hmac.c",
        "src/http.c",
        "src/json.c",
        "src/lanes.c",
        "src/lcompat.c",
        "src/lencode.c",
        "src/lendpoint.c",
        "src/lengine.c",
        "src/lexchange.c",
        "src/lfile.c",
        "src/lobject.c",
        "src/lproblem.c",
        "src/lschema.c",
        "src/lsendapi.c",
        "src/lsigner.c",
        "src/ltable.c",
        "src/ltext.c",
        "src/ltools.c",
        "src/outbox.c",
        "src/process.c",
        "src/queue.c",
        "src/request.c",
        "src/retry.c",
        "src/scheduler.c",
        "src/schema.c",
        "src/signals.c",
        "src/suggest.c",
        "src/sweep.c",
        "src/timers.c",
        "src/traffic.c",
        "src/transfer.c",
        "src/wakeup.c",
      },
      defines = { "_POSIX_C_SOURCE=200809L" },
      incdirs = { "$(CURL_INCDIR)", "$(OPENSSL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(OPENSSL_LIBDIR)" },
      libraries = { "curl", "crypto", "pthread" },
    },
    ["sendapi.store.sqlite"] = {
      sources = {
        "src/file_locks.c",
        "src/file_place.c",
        "src/fork_gate.c",
        "src/lstore_sqlite.c",
        "src/process.c",
        "src/sqlite_damage.c",
        "src/sqlite_file.c",
        "src/sqlite_open.c",
        "src/sqlite_rows.c",
        "src/sqlite_visit.c",
        "src/store_sqlite.c",
      },
      defines = { "_POSIX_C_SOURCE=200809L" },
      incdirs = { "$(SQLITE_INCDIR)" },
      libdirs = { "$(SQLITE_LIBDIR)" },
      libraries = { "sqlite3", "pthread" },
    },
  },
}

test_dependencies = {
  "busted",
}

test = {
  type = "busted",
}
