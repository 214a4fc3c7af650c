#!/usr/bin/env lua5.4
-- The `sendapi` command, as it is installed.
os.exit(require("sendapi.cli").main(arg), true)
