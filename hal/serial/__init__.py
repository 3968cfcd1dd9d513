"""What stands on a serial line: pedals, readers of codes and cards, devices that speak in lines."""
