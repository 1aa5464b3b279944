"""To the ERP, the browser, the command line: joins `forecast` and `signals`."""
