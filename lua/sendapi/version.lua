--- The version, as the rock, the user agent and `sendapi._VERSION` say it.
return "0.1.0"
