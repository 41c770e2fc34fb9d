"""What people see: numbers and names in words, reasons, pictures, the report's template."""
