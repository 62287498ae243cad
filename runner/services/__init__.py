"""What boxes are given from outside their sandbox: throwaway servers, a way out to allowed hosts, faults."""
