"""What watches over a server from outside its workers."""
